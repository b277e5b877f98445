"""What tests of pages share: that a page takes nothing from outside, and what headless Chromium makes of it."""
import pathlib
import shutil
import subprocess
import unittest
import xml.etree.ElementTree as ElementTree

XHTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"


def check_takes_nothing_from_outside(test: unittest.TestCase, page: str) -> None:
    for element in ElementTree.fromstring(page).iter():
        test.assertNotIn(element.tag.split("}")[-1], {"script", "link", "img", "iframe", "image", "use"})
        test.assertFalse({"src", "href"} & set(element.keys()), element.tag)
    test.assertNotRegex(page, r"url\(|@import")


def show(test: unittest.TestCase, page: pathlib.Path, folder: str) -> str:
    """The document as the browser has it; its picture is not empty. Skips the test where there is no Chromium."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        test.skipTest("there is no Chromium (Debian's package chromium)")
    picture = pathlib.Path(folder) / "page.png"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=960,1400",
               f"--user-data-dir={folder}/profile"]
    shown = subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, check=True,
                           timeout=100)
    subprocess.run([*command, f"--screenshot={picture}", page.as_uri()], capture_output=True, check=True, timeout=100)
    test.assertGreater(picture.stat().st_size, 10000, "a blank page is smaller")
    return shown.stdout
