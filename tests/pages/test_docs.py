"""The promises of the docs pages, in a real browser: they render offline under a strict policy, and “Try it” works."""


def test_the_swagger_page_renders(page, demo):
    """`/docs` shows the operations."""
    page.goto(f"{demo.url}/docs")
    page.wait_for_selector(".opblock")
