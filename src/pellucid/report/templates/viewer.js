// Enlarges a picture when it is clicked; arrow keys show the next or the previous one of its list, Escape closes.
const viewer = document.getElementById("viewer");
const [image, caption] = [document.createElement("img"), viewer.querySelector("figcaption")];
let current = null;
const show = (button) => {
  current = button;
  const small = button.querySelector("img");
  image.src = button.dataset.large || small.src;
  image.className = button.dataset.large ? "" : small.className;
  image.alt = small.alt.replace(/\. Enlarge$/, "");
  const words = [...button.parentElement.querySelectorAll(".predicted, .sure, .label")];
  caption.textContent = [button.title, ...words.map((word) => word.textContent.trim())].join(" · ");
  caption.before(image);
  if (!viewer.open) viewer.showModal();
};
const step = (by) => {
  const buttons = [...current.closest("ul").querySelectorAll("button.enlarge")];
  show(buttons[(buttons.indexOf(current) + by + buttons.length) % buttons.length]);
};
for (const button of document.querySelectorAll("button.enlarge")) button.addEventListener("click", () => show(button));
for (const button of viewer.querySelectorAll("[data-step]")) {
  button.addEventListener("click", () => step(Number(button.dataset.step)));
}
viewer.querySelector("[data-close]").addEventListener("click", () => viewer.close());
viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
viewer.addEventListener("close", () => current.focus());
viewer.addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight") step(1);
  if (event.key === "ArrowLeft") step(-1);
});
