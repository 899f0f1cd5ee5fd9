// Swagger UI has dark colours, for a class on the document. It follows the reader's system, before anything is painted.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();
