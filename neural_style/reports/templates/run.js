"use strict";
const iterates = JSON.parse(document.getElementById("iterates").textContent);
const slider = document.getElementById("slider");
const show = () => {
  const { text, image: source } = iterates[slider.value];
  const image = document.getElementById("iterate");
  image.src = source;
  image.alt = "The image at " + text;
  document.getElementById("caption").textContent = text;
  slider.setAttribute("aria-valuetext", text);
};
slider.addEventListener("input", show);
show(); // a browser that reloads the page may have kept the slider where it was
