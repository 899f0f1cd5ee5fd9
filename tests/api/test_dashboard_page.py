"""The files of the dashboard's page, without a browser."""

import re
from importlib.resources import files

PAGE = files("service.api.dashboard").joinpath("page")


def test_every_module_is_loaded_at_once():
    """The page names all modules that its scripts import, so that the browser does not find them one by one."""
    page = PAGE.joinpath("dashboard.html").read_text()
    preloaded = re.findall(r'rel="modulepreload" href="dashboard/files/(\w+)\.js"', page)
    scripts = {file.name: file.read_text() for file in PAGE.iterdir() if file.name.endswith(".js")}
    imported = {name for text in scripts.values() for name in re.findall(r'from "\./(\w+)\.js"', text)}
    assert imported
    assert sorted(preloaded) == sorted(imported)
