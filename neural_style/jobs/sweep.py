"""Lists of jobs: read from a file, or the product of folders of images and values of settings."""

from __future__ import annotations

import itertools
import json
import os
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple

from ..errors import ImageError, SettingsError, first_line
from ..images.reading import EXTENSIONS
from .job import Job
from .outputs import Outputs


def read_jobs(path: str) -> List[Job]:
    """Read a file with a JSON list of jobs, each as `Job.to_json` writes it.

    Raises
    ------
    SettingsError
        If the file cannot be read, or has something else in it.
    """
    try:
        with open(path, encoding="utf-8") as file:
            records = json.load(file)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); check its name and folder") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: is not JSON ({first_line(error)})") from error
    if not isinstance(records, list) or not records:
        raise SettingsError(f"{path}: is not a list of jobs")
    jobs = []
    for number, record in enumerate(records, 1):
        try:
            jobs.append(Job.from_json(record))
        except SettingsError as error:
            raise SettingsError(f"{path}, job {number}: {error}") from error
    return jobs


def list_images(path: str) -> List[str]:
    """Return the images of a folder in the order of their names, or the one that `path` names.

    Raises
    ------
    ImageError
        If there are none, or there is neither file nor folder of this name.
    """
    if not os.path.exists(path):
        raise ImageError(f"{path}: there is no such file or folder; check its name")
    if not os.path.isdir(path):
        return [path]
    try:
        names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    except OSError as error:
        raise ImageError(f"{path}: the folder cannot be read ({error.strerror})") from error
    images = [os.path.join(path, name) for name in names if name.lower().endswith(EXTENSIONS)]
    if not images:
        raise ImageError(f"{path}: no images in it; looked for {', '.join(EXTENSIONS)}")
    return images


def combine(values: Mapping[str, Sequence[Any]]) -> List[Dict[str, Any]]:
    """Return every combination of the values of some names, the last name changing fastest."""
    return [dict(zip(values, chosen)) for chosen in itertools.product(*values.values())]


def name_outputs(
    folder: str, contents: Sequence[str], styles: Sequence[str], variants: Sequence[str]
) -> Dict[Tuple[str, str, str], Outputs]:
    """Return where the results of a product go: ``CONTENT-STYLE-VARIANT.png`` in one folder.

    Parameters
    ----------
    folder : str
    contents, styles : sequence of str
        Files. Where two have the same name but for the suffix, it is part of the name.
    variants : sequence of str
        Descriptions of settings; one may be empty.

    Returns
    -------
    dict
        By content, style and variant.

    Raises
    ------
    SettingsError
        If two results would have the same name, or `folder` holds the inputs.
    """
    inside = os.path.realpath(folder)
    for path in (*contents, *styles):
        if os.path.dirname(os.path.realpath(path)) == inside:
            raise SettingsError(f"`output` is {folder}, where {path} is; results would be inputs of the next start")
    stems, taken, outputs = {**_stems(contents), **_stems(styles)}, set(), {}
    for key in itertools.product(contents, styles, variants):
        stem = os.path.join(folder, "-".join(filter(None, (stems[key[0]], stems[key[1]], key[2]))))
        if stem in taken:
            raise SettingsError(f"{stem}.png would be made twice; rename one of the images")
        taken.add(stem)
        outputs[key] = Outputs(stem + ".png", stem + "_", ".png")
    return outputs


def _stems(paths):
    names = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    return {
        path: name if names.count(name) == 1 else os.path.basename(path).replace(".", "_")
        for path, name in zip(paths, names)
    }


def check_distinct(jobs: Iterable[Job]) -> None:
    """Make sure that no two jobs write the same file.

    Raises
    ------
    SettingsError
    """
    taken: Dict[str, int] = {}
    for number, job in enumerate(jobs, 1):
        outputs = job.outputs
        intermediate = outputs.prefix if job.recipe.finish.save_every else None
        for path in filter(None, (outputs.final, outputs.report, outputs.trace, job.checkpoint, intermediate)):
            other = taken.setdefault(os.path.realpath(path), number)
            if other != number:
                raise SettingsError(f"{path}: is written by jobs {other} and {number}; give each its own files")
