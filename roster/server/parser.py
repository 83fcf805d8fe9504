"""The parser of HTTP/1.1: httptools', which also reads on where a request offers an upgrade."""

from collections.abc import Callable

from httptools import HttpParserUpgrade, HttpRequestParser


class Parser(HttpRequestParser):
    """Reads a request that offers an upgrade as the HTTP/1.1 request that it is.

    A server that does not upgrade ignores the offer (RFC 9110 section 7.8). httptools stops behind
    the head of such a request, and would take its body for the next request. `head_without_offer`
    gives the same head without the offer, which is then read in its place; or None where nothing
    more is to be read from this connection, behind a CONNECT. It is read by the parser that `anew`
    puts in this one's place: this one reads no more where the head has `Connection: close`.
    """

    def __init__(
        self,
        protocol: object,
        head_without_offer: Callable[[], bytes | None],
        anew: Callable[[], "Parser"],
    ) -> None:
        super().__init__(protocol)
        # A client may send its next request before the answer, whatever the Connection header says.
        self.set_dangerous_leniencies(lenient_data_after_close=True)
        self._head_without_offer = head_without_offer
        self._anew = anew
        self.is_at_end = False

    def feed_data(self, data: bytes | bytearray | memoryview) -> None:  # type: ignore[override]
        """Read some bytes.

        :raises httptools.HttpParserError: where they are not HTTP.
        """
        if self.is_at_end:
            return
        try:
            super().feed_data(data)
        except HttpParserUpgrade as offer:
            self._read_behind(memoryview(data)[offer.args[0] :])

    def _read_behind(self, rest: memoryview) -> None:
        parser = self
        while (head := self._head_without_offer()) is not None:
            parser = self._anew()
            HttpRequestParser.feed_data(parser, head)
            try:
                HttpRequestParser.feed_data(parser, rest)
            except HttpParserUpgrade as offer:
                rest = rest[offer.args[0] :]
            else:
                return
        parser.is_at_end = True
