"""Sphinx's configuration. The pages it reads are generated: `eqkb build` runs it on a folder of its own."""

from kb import __version__

project = "eqkb"
author = "eqkb contributors"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "generators.site.extension"]
myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
highlight_language = "none"
smartquotes = False  # texts of the catalogue and options of commands stay as they are
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["eqkb.css", "start.css", "copy.css", "search.css", "map.css"]
html_js_files = [(name, {"defer": "defer"}) for name in ("formulas.js", "steps.js", "copy.js", "search.js", "map.js")]

html_theme = "pydata_sphinx_theme"
html_title = "eqkb"
html_math_renderer = "svg"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_use_index = False
html_domain_indices = False
html_sidebars = {
    "index": [],
    "map": [],
    "tutorial": [],
    "notebooks/*": [],
    "contribute": [],
    "search": [],
    "equations/*": ["topics.html"],
}
html_context = {"default_mode": "auto"}
html_theme_options = {
    "disable_search": True,
    "show_prev_next": False,
    "navbar_start": ["navbar-logo"],
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["footer.html"],
    "footer_end": [],
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "logo": {"text": "eqkb"},
}


def setup(app):
    """Nobody makes the objects of the reference by hand, so that it leaves out how."""
    app.connect("autodoc-skip-member", lambda _, __, name, *___: True if name in ("__init__", "__new__") else None)
