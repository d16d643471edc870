for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const heading = button.closest("th"), body = heading.closest("table").tBodies[0];
    const number = heading.classList.contains("number"), column = heading.cellIndex;
    const up = heading.getAttribute("aria-sort") === (number ? "descending" : null) || heading.getAttribute("aria-sort") === "descending";
    const key = (row) => row.cells[column].dataset.key;
    const order = number ? (a, b) => key(a) - key(b) : (a, b) => key(a).localeCompare(key(b));
    const rows = [...body.rows].sort((a, b) => (up ? order(a, b) : order(b, a)));
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...rows);
  });
}
// folded parts are printed too, also by browsers that cannot unfold them by style
const folded = () => document.querySelectorAll("details:not([open])");
let unfolded = [];
addEventListener("beforeprint", () => { unfolded = [...folded()]; for (const part of unfolded) part.open = true; });
addEventListener("afterprint", () => { for (const part of unfolded) part.open = false; });
