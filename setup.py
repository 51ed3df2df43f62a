"""Packaging of neural_style. The lint, test and build settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent

INSTALL_REQUIRES = [
    # 1.9.1 is the last release. The wheels are not bound to one Python; 1.5.0 and 1.9.1 both load on 3.8 and on 3.14.
    # NAG in 1.5 computes its step in another way than in 1.6 and later. MXNet asks for NumPy 1, of which there are no
    # wheels for Python 3.13 and later. It works with NumPy 2 (see neural_style/_shim.py), but pip cannot be told so:
    # there MXNet is a second line, pip install --no-deps mxnet==1.9.1. uv can be told, in pyproject.toml.
    "mxnet>=1.5,<2; python_version<'3.13'",
    # scikit-image 0.19 asks for 1.17, later ones for more, each Python's first wheels for more still (3.11: 1.23.2,
    # 3.12: 1.26.0). 1.19 is the oldest that was tried. Above: each minor version of NumPy 2 may lose another name.
    "numpy>=1.19,<2.6",
    "numpy>=2.1; python_version>='3.13'",  # the first wheels; without this, an old NumPy might be built from source
    "scikit-image>=0.19",  # the first with channel_axis
    # These come with scikit-image, but are imported here by name.
    "scipy>=1.8,<2",
    "pillow>=9.1",  # this and tifffile: the oldest that were seen to read every kind of picture in the tests
    "tifffile>=2021.8.30",
    "pooch>=1.4",  # the first with retry_if_failed
    "requests>=2.25,<3",  # MXNet asks for 2.20, with a urllib3 that cannot be imported in Python 3.12 and later
    "loky>=3.1",  # the first that knows the limits of cgroups v2
    "psutil>=5.6",  # memory that the machine has available and that the process holds
    "tqdm>=4.41",
]

EXTRAS_REQUIRE = {
    "dask": ["dask>=2023.5", "distributed>=2023.5"],  # the last for Python 3.8
    "torch": ["torch>=1.13"],  # .pth weights; the first whose torch.load can refuse everything but tensors
    "video": [
        # The last with wheels for Python 3.8, and what was tried with it; FFmpeg's libraries are inside.
        "av>=12.3",
        # The flow; without it, that of scikit-image takes many times longer. From 4.12 on it demands NumPy 2, which
        # MXNet 1.x cannot have before Python 3.13.
        "opencv-python-headless>=4.5,<4.12; python_version<'3.13'",
        "opencv-python-headless>=4.11; python_version>='3.13'",
    ],
    "keras": ["h5py>=2.10"],  # .h5 weights
    "report": [
        "matplotlib>=3.5",  # the first with the registry of colour maps
        "jinja2>=3",
    ],
    # Not torch, which brings gigabytes of CUDA by default: without it the tests of the .pth importers are skipped.
    # Selenium drives a Chromium of the system; without one the tests of the pages in it are skipped.
    "test": [
        "pytest>=7",
        "h5py>=2.10",
        "matplotlib>=3.5",
        "jinja2>=3",
        "selenium>=4",
        "distributed>=2023.5",
        "av>=12.3",
        "opencv-python-headless>=4.5,<4.12; python_version<'3.13'",
        "opencv-python-headless>=4.11; python_version>='3.13'",
    ],
    # The oldest that were tried, with Python 3.8. MkDocs 2 has neither this theme nor these plugins.
    "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.7,<10", "mkdocstrings[python]>=0.26"],
    "lint": [
        "ruff>=0.17,<0.18",  # a formatter changes its mind from one minor version to the next
        "mypy>=1.11,<2",
    ],
}

# models/ lies beside the package in a checkout and inside it in a wheel. Its files are named one by one, so that
# nothing which was downloaded into it is ever packed.
SHIPPED_MODELS = [
    name
    for name in ("README.md", "vgg16-lowrank.params", "any-style.params", "any-style.LICENSE")
    if (HERE / "models" / name).is_file()
]


def read(name):
    """Read a text file that stands beside this one; it may not exist yet."""
    path = HERE / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def read_version():
    """Read the version without importing the package, whose dependencies are not installed yet."""
    return re.search(r'^__version__ = "([^"]+)"$', read("neural_style/__init__.py"), re.MULTILINE).group(1)


if __name__ == "__main__":
    setup(
        # "neural-style" on the package index is another program.
        name="mxnet-neural-style",
        version=read_version(),
        description="Repaint a photograph in the style of a picture, with Apache MXNet",
        long_description=read("README.md"),
        long_description_content_type="text/markdown",
        author="The neural_style developers",
        license="Apache-2.0",
        license_files=["LICENSE"],
        classifiers=[
            "Environment :: Console",
            "Intended Audience :: End Users/Desktop",
            "Intended Audience :: Science/Research",
            "Operating System :: POSIX :: Linux",
            "Programming Language :: Python :: 3",
            "Programming Language :: Python :: 3 :: Only",
            "Programming Language :: Python :: 3.8",
            "Programming Language :: Python :: 3.9",
            "Programming Language :: Python :: 3.10",
            "Programming Language :: Python :: 3.11",
            "Programming Language :: Python :: 3.12",
            "Programming Language :: Python :: 3.13",
            "Programming Language :: Python :: 3.14",
            "Topic :: Artistic Software",
            "Topic :: Multimedia :: Graphics",
            "Topic :: Scientific/Engineering :: Artificial Intelligence",
        ],
        python_requires=">=3.8,<3.15",
        packages=find_packages(str(HERE), include=["neural_style", "neural_style.*"])
        + (["neural_style.models"] if SHIPPED_MODELS else []),
        package_dir={"neural_style.models": "models"} if SHIPPED_MODELS else {},
        package_data={
            "neural_style": ["py.typed", "*.pyi"],
            "neural_style.reports": ["templates/*"],
            "neural_style.models": SHIPPED_MODELS,
        },
        install_requires=INSTALL_REQUIRES,
        extras_require=EXTRAS_REQUIRE,
        entry_points={"console_scripts": ["neural-style = neural_style.cli.main:main"]},
        zip_safe=False,
    )
