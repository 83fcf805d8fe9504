"""The command `roster new`: writes the files of a new resource into the project."""
