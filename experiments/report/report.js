"use strict";
// Sorts a table by the column whose heading is pressed; pressed again, the other way round.
// Keys are exact values; rows without one stay at the end.
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement;
    const table = heading.closest("table");
    const column = heading.cellIndex;
    const numeric = heading.classList.contains("number");
    const current = heading.getAttribute("aria-sort");
    const first = numeric ? "descending" : "ascending";
    const second = numeric ? "ascending" : "descending";
    const order = current === first ? second : first;
    const sign = order === "ascending" ? 1 : -1;
    const compare = (a, b) => {
      const [x, y] = [a, b].map((row) => row.cells[column].dataset.key);
      if (x === "" || y === "") return (x === "") - (y === "");
      return sign * (numeric && !isNaN(x) && !isNaN(y) ? x - y : x.localeCompare(y));
    };
    for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  });
}
