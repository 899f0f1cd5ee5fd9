// Starts ReDoc. In a file of its own, because the page's policy runs no script that stands in the page.
Redoc.init("openapi.json", { disableSearch: false, requiredPropsFirst: true }, document.getElementById("redoc"));
