"""Small files that unpack to gigabytes, or claim to hold them. A few of them are made here without their gigabytes."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_MEGABYTE = 1 << 20

HEADING = (
    '<row r="1"><c r="A1" t="inlineStr"><is><t>name</t></is></c><c r="B1" t="inlineStr"><is><t>phone</t></is></c></row>'
)
ANNA = '<row r="2"><c r="A2" t="inlineStr"><is><t>Anna</t></is></c></row>'


def sheet(rows: str, before: str = "", behind: str = "") -> str:
    """A sheet of these rows, as XML."""
    return f'<worksheet xmlns="{MAIN}">{before}<sheetData>{rows}</sheetData>{behind}</worksheet>'


class Repeated:
    """A text that goes on for ``times`` megabytes, compressed without being made: a block of deflate, over and over."""

    def __init__(self, begin: str, unit: str, megabytes: int, end: str = "") -> None:
        block = (unit * (_MEGABYTE // len(unit) + 1)).encode()
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        first = squeeze.compress(begin.encode()) + squeeze.flush(zlib.Z_FULL_FLUSH)
        again = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = again.compress(block) + again.flush(zlib.Z_FULL_FLUSH)
        last = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.packed = first + packed * megabytes + last.compress(end.encode()) + last.flush()
        self.size = len(begin.encode()) + len(block) * megabytes + len(end.encode())


def workbook(path: Path, sheet_xml: str | Repeated, sheets: int = 1, **parts: str | Repeated) -> Path:
    """Write a workbook.

    :param sheet_xml: its sheet.
    :param sheets: how often that sheet is named.
    :param parts: ``strings``, ``styles``, ``book``: other contents of these parts.
    """
    named = "".join(f'<sheet name="{n}" sheetId="{n}" r:id="rId{n}"/>' for n in range(1, sheets + 1))
    related = "".join(
        f'<Relationship Id="rId{n}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/>'
        for n in range(1, sheets + 1)
    )
    contents: dict[str, str | Repeated] = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>'
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{_KIND}.sharedStrings+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_KIND}.styles+xml"/></Types>',
        "xl/workbook.xml": parts.get("book")
        or f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{named}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{related}</Relationships>',
        "xl/sharedStrings.xml": parts.get("strings", f'<sst xmlns="{MAIN}"/>'),
        "xl/styles.xml": parts.get("styles", f'<styleSheet xmlns="{MAIN}"/>'),
        "xl/worksheets/sheet1.xml": sheet_xml,
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            if isinstance(content, str):
                archive.writestr(name, content)
            else:
                _write_packed(archive, name, content)
    return path


def _write_packed(archive: zipfile.ZipFile, name: str, content: Repeated) -> None:
    """Add what is compressed already. Its checksum is wrong, which only shows to those who read to the end."""
    file = archive.fp
    assert file is not None
    info = zipfile.ZipInfo(name)
    info.compress_type, info.CRC = zipfile.ZIP_DEFLATED, 0
    info.file_size, info.compress_size, info.header_offset = content.size, len(content.packed), file.tell()
    file.write(info.FileHeader())
    file.write(content.packed)
    archive.filelist.append(info)
    archive.NameToInfo[name] = info
    archive.start_dir = file.tell()


def gzipped(path: Path, content: Repeated) -> Path:
    """Write a file of gzip, with a wrong checksum at its end."""
    head = io.BytesIO(b"\x1f\x8b\x08" + bytes(7))
    path.write_bytes(head.getvalue() + content.packed + bytes(8))
    return path
