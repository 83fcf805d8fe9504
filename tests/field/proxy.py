"""A proxy of TCP connections: `proxy.py PORT FILE`, where the file holds the target of new ones."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path


async def main(port: str, target: str) -> None:
    """Serve until the end of the process."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A file of some bytes, which is read now because it may have changed.
        place = Path(target).read_text()  # noqa: ASYNC240
        try:
            if place.isdigit():
                there = await asyncio.open_connection("127.0.0.1", int(place))
            else:
                there = await asyncio.open_unix_connection(place)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass_on(reader, there[1]), _pass_on(there[0], writer))

    server = await asyncio.start_server(serve, "127.0.0.1", int(port), backlog=1000)
    await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
