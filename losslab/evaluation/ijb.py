"""IJB-B and IJB-C, 1:1: pairs of templates, each some images and frames of a person, by their published files.

    IJBC/loose_crop/1.jpg ...                 faces with room around them
    IJBC/meta/ijbc_face_tid_mid.txt           of each face: name, template, media (an image, or a video's frames)
    IJBC/meta/ijbc_name_5pts_score.txt        of each face, in the same order: name, five points x y, detector's score
    IJBC/meta/ijbc_template_pair_label.txt    template, template, whether both are one person

Protocol: Whitelam et al., IARPA Janus Benchmark-B, CVPRW 2017; Maze et al., IARPA Janus Benchmark-C, ICB 2018, with the
templates as ArcFace (1801.07698) is evaluated: within a media embeddings are averaged, over media summed.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from losslab.data.base import DataError
from losslab.data.faces.decode import decode
from losslab.verification import cosines, directions

from .align import similarity, warped
from .report import Result
from .sets import FaceSet, accept_rates

RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
LARGEST = 64 << 20  # bytes of an encoded face
LARGEST_NUMBER = 1 << 60  # in a line of a file: what fits int64, and can be squared


class Templates(FaceSet):
    """Faces of templates, and pairs of these. Made by `read_ijb`.

    An embedding's length tells how good its image is, and so does the detector's score: with `length` and `score` they
    weigh the images of a template, as published results have it. Without `length` every embedding counts as a unit
    vector first.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        files: list[str],
        points: np.ndarray,
        scores: np.ndarray,
        template: np.ndarray,
        media: np.ndarray,
        pairs: np.ndarray,
        *,
        length: bool = True,
        score: bool = True,
    ) -> None:
        """Of n faces their files below a folder, points [n 5 2], detector's scores [n], template and media numbers
        [n]; and pairs [p 3] of two template numbers and 1 for one person, 0 for two."""
        self.name, self.folder, self.files, self.points, self.scores = name, folder, files, points, scores
        self.template, self.media, self.pairs, self.length, self.score = template, media, pairs, length, score

    def __len__(self) -> int:
        return len(self.files)

    def image(self, i: int) -> np.ndarray:
        """The aligned face, uint8 [112 112 3]."""
        what = f"{self.name}, {self.files[i]}"
        try:
            with (self.folder / self.files[i]).open("rb") as file:
                payload = file.read(LARGEST)
        except OSError as error:
            raise DataError(f"{what} cannot be read ({error.strerror}): look whether all of it is there.") from None
        return warped(decode(payload, what), similarity(self.points[i]))

    def measured(self, embedding: np.ndarray) -> list[Result]:
        weighed = embedding if self.length else directions(embedding)
        if self.score:
            weighed = weighed * self.scores[:, None].astype(embedding.dtype)
        direction, number = templates(weighed, self.template, self.media)
        first, second = (np.searchsorted(number, self.pairs[:, side]) for side in (0, 1))
        cosine, same = cosines(direction, first, second), self.pairs[:, 2] == 1
        return accept_rates(self.name, cosine[same], cosine[~same], RATES)


def templates(embedding: np.ndarray, template: np.ndarray, media: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions [t d] of the templates that embeddings [n d] belong to, and the templates' numbers [t], rising: the
    mean of each media, summed over the media of a template."""
    order = np.lexsort((media, template))
    template, media = template[order], media[order]
    starts = np.flatnonzero(np.diff(template, prepend=-1) | np.diff(media, prepend=-1))
    counts = np.diff(starts, append=len(order))
    of_media = np.add.reduceat(embedding[order], starts, axis=0) / counts[:, None]
    number, first = np.unique(template[starts], return_index=True)
    return directions(np.add.reduceat(of_media, first, axis=0)), number


# -- the files -------------------------------------------------------------------------------------------


def read_ijb(folder: str | Path, *, length: bool = True, score: bool = True) -> Templates:
    """The set in a folder such as `IJBC`. `length` and `score` say what weighs the images of a template.

    DataError where a file is missing, or a line of one does not say what it must.
    """
    folder = Path(folder)
    found = sorted((folder / "meta").glob("*_face_tid_mid.txt"))
    if len(found) != 1:
        raise DataError(
            f"{folder} has {len(found)} files meta/*_face_tid_mid.txt and must have one: name the folder IJBB or IJBC, "
            "in which meta and loose_crop lie."
        )
    if not (folder / "loose_crop").is_dir():
        raise DataError(f"{folder} has no folder loose_crop, in which the faces lie: look whether all of it is there.")
    name = found[0].name.removesuffix("_face_tid_mid.txt")
    membership = np.array([numbers(words, 2, int, where) for words, where in lines(found[0], 3)])
    detected = folder / "meta" / f"{name}_name_5pts_score.txt"
    files, values = [], []
    for words, where in lines(detected, 12):
        files.append(below(words[0], where))
        values.append(numbers(words, 11, float, where))
    if len(files) != len(membership):
        raise DataError(
            f"{found[0].name} has {len(membership)} faces and {detected.name} {len(files)}: they go together line by "
            "line, so get both again."
        )
    measured = np.array(values)
    together = np.flatnonzero(np.ptp(measured[:, :10].reshape(-1, 5, 2), axis=1).max(1) < 1e-6)
    if len(together):
        raise DataError(f"{detected.name}, line {together[0] + 1}, has five points that fall together: get it again.")
    return Templates(
        name,
        folder / "loose_crop",
        files,
        measured[:, :10].reshape(-1, 5, 2),
        measured[:, 10],
        membership[:, 0],
        membership[:, 1],
        read_pairs(folder / "meta" / f"{name}_template_pair_label.txt", membership[:, 0]),
        length=length,
        score=score,
    )


def read_pairs(path: Path, template: np.ndarray) -> np.ndarray:
    """The pairs of templates, int32 [p 3]; there are millions, so NumPy reads them."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")  # which is said below
            pairs = np.loadtxt(path, dtype=np.int32, ndmin=2, comments=None)
    except OSError:
        raise missing(path) from None
    except ValueError as error:
        raise DataError(f"{path.name} has a line that is not three whole numbers ({error}): get it again.") from None
    if pairs.shape[1:] != (3,) or not set(np.unique(pairs[:, 2])) == {0, 1}:
        raise DataError(
            f"{path.name} must have three numbers a line, the last 1 for pairs of one person and 0 for pairs of two, "
            "and some of each: get it again."
        )
    strange = np.setdiff1d(pairs[:, :2], template)
    if len(strange):
        raise DataError(
            f"{path.name} has pairs of template {strange[0]}, which has no face: it is not of the same set as the "
            "other files, or cut short."
        )
    return pairs


def lines(path: Path, count: int) -> Iterator[tuple[list[str], str]]:
    """The words of every line, `count` of them, and where it is."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            empty = True
            for at, line in enumerate(file, start=1):
                words, empty = line.split(), False
                if len(words) != count:
                    raise DataError(f"{path.name}, line {at}, has {len(words)} words and must have {count}.")
                yield words, f"{path.name}, line {at},"
    except OSError:
        raise missing(path) from None
    if empty:
        raise DataError(f"{path.name} is empty: get it again.")


def numbers(words: list[str], count: int, kind: type, where: str) -> list:
    """The last `count` words as numbers."""
    try:
        found = [kind(word) for word in words[-count:]]
    except ValueError:
        raise DataError(f"{where} has something else than numbers behind the name: get the file again.") from None
    if not all(abs(value) < LARGEST_NUMBER for value in found) or kind is int and min(found) < 0:
        raise DataError(f"{where} has a number that cannot be: get the file again.")
    return found


def below(name: str, where: str) -> str:
    """A file's name, if it stays below its folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise DataError(f"{where} names {name[:80]!r}, which does not lie in loose_crop.")
    return name


def missing(path: Path) -> DataError:
    return DataError(f"{path.parent} has no readable {path.name}: look whether all of the set is there.")
