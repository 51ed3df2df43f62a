"""The files that a run read, as its record lists them."""


def list_inputs(record):
    """Return every file that is an input of a run.

    Parameters
    ----------
    record : dict
        Of an image or a trace, with ``content``, ``styles``, ``start`` and ``controls``.

    Returns
    -------
    list of (str, dict)
        A name for the reader, such as ``mask of style 2``, and the entry, with ``file`` and ``sha256``.
    """
    files, several = [("content", record["content"])], len(record["styles"]) > 1
    for number, style in enumerate(record["styles"], 1):
        name = f"style {number}" if several else "style"
        files += [(name, style), (f"mask of {name}", style["mask"]), (f"part of {name}", style["source_mask"])]
    files += [("start", record["start"]), *record["controls"].items()]
    return [(name, entry) for name, entry in files if entry]
