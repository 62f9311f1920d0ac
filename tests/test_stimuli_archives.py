"""Archives are unpacked whole below their folder, or refused by member with nothing left."""

import io
import stat
import tarfile
import zipfile

import pytest

from stimuli import InputError
from stimuli.archives import unpack

FILES = {"genres/blues/blues.00000.au": b"sound", "genres/jazz/jazz.00001.au": b"more sound"}


def _tar(path, members=(), files=FILES, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in members:
            tar.addfile(member)
    return path


def _zip(path, files, **attributes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)
            for key, value in attributes.items():
                setattr(member, key, value)
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return path


def _files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.au")}


def _refused(tmp_path, archive, message, **options):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message):
        unpack(archive, tmp_path / "out", **options)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tars_are_unpacked(tmp_path, mode):
    folder = tarfile.TarInfo("./")
    folder.type = tarfile.DIRTYPE
    (tmp_path / "out").mkdir()
    out = unpack(_tar(tmp_path / "genres.tar", [folder], mode=mode), tmp_path / "out")
    assert out == tmp_path / "out" and _files(out) == FILES
    assert sorted(p.name for p in tmp_path.iterdir()) == ["genres.tar", "out"]


def test_zips_are_unpacked(tmp_path):
    files = {"genres/": b"", "genres/blues/": b"", **FILES}
    assert _files(unpack(_zip(tmp_path / "genres.zip", files), tmp_path / "new" / "out")) == FILES


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/etc/evil.au", "member '/etc/evil.au' has an absolute"),
        ("C:\\evil.au", "member '.*evil.au' has an absolute"),
        ("../evil.au", r"member '\.\./evil.au' leads out"),
        ("genres/../../evil.au", "leads out"),
        ("genres\\..\\..\\evil.au", "leads out"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name, message):
    files = {**FILES, name: b"evil"}
    _refused(tmp_path, _tar(tmp_path / "x.tar.gz", files=files), message)
    _refused(tmp_path, _zip(tmp_path / "x.zip", files), message)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.CHRTYPE, "is a device"),
        (tarfile.BLKTYPE, "is a device"),
        (tarfile.FIFOTYPE, "is a device or special"),
    ],
)
def test_links_and_devices_in_tars_are_refused(tmp_path, kind, message):
    member = tarfile.TarInfo("genres/blues/odd.au")
    member.type, member.linkname = kind, "blues.00000.au"
    _refused(tmp_path, _tar(tmp_path / "x.tar", [member]), f"'genres/blues/odd.au' {message}")


def test_links_in_zips_and_encrypted_members_are_refused(tmp_path):
    link = _zip(tmp_path / "x.zip", FILES, external_attr=(stat.S_IFLNK | 0o777) << 16)
    _refused(tmp_path, link, r"'genres/blues/blues\.00000\.au' is a link")
    path = _zip(tmp_path / "x.zip", FILES)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    _refused(tmp_path, path, "is encrypted")


def test_bombs_are_refused_before_they_are_unpacked(tmp_path):
    files = {**FILES, "genres/bomb.au": bytes(10**6)}
    _refused(tmp_path, _zip(tmp_path / "x.zip", files), "'genres/bomb.au'.*10,000", max_bytes=10000)
    tar = _tar(tmp_path / "x.tar.gz", files=files)
    _refused(tmp_path, tar, "'genres/bomb.au' makes it larger", max_bytes=10000)
    # A size that is only announced.
    path = _zip(tmp_path / "y.zip", FILES)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\x01\x02") + 24
    raw[at : at + 4] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(raw)
    _refused(tmp_path, path, "makes it larger", max_bytes=10000)


def test_a_file_that_occurs_twice_is_refused(tmp_path):
    twice = tarfile.TarInfo("genres/blues/./blues.00000.au")
    _refused(tmp_path, _tar(tmp_path / "x.tar", [twice]), "occurs twice")


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_archives_cut_off_anywhere_leave_nothing(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    files = {name: content * 500 for name, content in FILES.items()}
    if kind == "zip":
        _zip(path, files)
    else:
        _tar(path, files=files, mode="w" if kind == "tar" else "w:gz")
    whole = path.read_bytes()
    for share in (0, 0.01, 0.35, 0.6):
        path.write_bytes(whole[: int(share * len(whole))])
        _refused(tmp_path, path, rf"x\.{kind}: (neither|cannot|holds)")


def test_a_folder_in_use_and_a_missing_archive_are_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    _refused(tmp_path, _tar(tmp_path / "x.tar"), "not an empty folder")
    _refused(tmp_path, tmp_path / "absent.zip", "no such file")
