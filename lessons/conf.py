"""How Sphinx builds the lessons: every cell is executed, and one that fails stops the build."""

project = "Pellucid: lessons"
author = "The Pellucid project"
extensions = ["myst_nb"]
html_theme = "furo"
html_title = "Pellucid: lessons"
html_show_sphinx = False
html_show_copyright = False
exclude_patterns: list[str] = []

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_in_temp = True  # what a lesson writes is gone with it
nb_merge_streams = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # nothing is loaded from elsewhere when a page is read
