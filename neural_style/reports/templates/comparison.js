"use strict";
const slider = document.getElementById("slider");
const cut = () => document.getElementById("stage").style.setProperty("--cut", slider.value + "%");
slider.addEventListener("input", cut);
cut();
