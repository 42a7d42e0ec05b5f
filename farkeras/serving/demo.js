const at = id => document.getElementById(id), photo = document.querySelector("#photo img");
const readable = name => name.replaceAll("_", " "), percent = part => `${Math.round(100 * part)}\u00a0%`;
const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
let latest = 0, answer, model;

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function say(text, error = false) {
  at("status").textContent = text;
  at("status").className = error ? "error" : "";
}

async function answered(path, options) {
  return fetch(path, options).catch(() => {
    throw new Error("The server does not answer; check that it is running, then try again.");
  });
}

async function ask(path, options) {
  const response = await answered(path, options);
  const content = await response.json().catch(() => ({ error: `The server failed (HTTP ${response.status}).` }));
  if (content.error) throw new Error(content.error);
  return content;
}

async function describe() {
  model = await ask("demo/model");
  const number = model.groups.reduce((sum, group) => sum + group.attributes.length, 0);
  at("about").querySelector("summary").textContent = `Model ${model.model}, version ${model.version}: ` +
    `${count(number, "attribute")} in ${count(model.groups.length, "group")}`;
  at("about").querySelector("div").replaceChildren(...model.groups.map(({ name, attributes }) => {
    const line = element("p", "");
    line.append(element("b", "", readable(name)), ": " + attributes.map(readable).join(", "));
    return line;
  }));
  at("about").hidden = false;
  at("procedural").hidden = !model.procedural;
}

// Every photograph comes through here: dropped, pasted, chosen, taken, or the example.
async function recognize(file, aligned = false) {
  const number = ++latest;
  closeCamera();
  if (at("result").contains(document.activeElement)) at("file").focus(); // what is hidden loses the focus
  for (const part of document.querySelectorAll(".answer")) part.hidden = true;
  say(aligned ? "Recognizing …" : "Looking for faces …");
  const seen = aligned ? hidePhoto() : showPhoto(file, number);
  try {
    const received = await ask(aligned ? "demo/crop" : "demo/photo", { method: "POST", body: file });
    await seen;
    if (number !== latest) return;
    show(received);
    if (received.version !== model?.version || received.model !== model.model) describe().catch(() => {});
  } catch (error) {
    if (number === latest) say(error.message, true);
  }
}

function hidePhoto() {
  URL.revokeObjectURL(photo.src);
  at("photo").hidden = at("result").hidden = true;
  document.querySelectorAll(".frame").forEach(frame => frame.remove());
}

async function showPhoto(file, number) {
  hidePhoto();
  photo.src = URL.createObjectURL(file);
  photo.alt = "The photograph";
  const readable = await photo.decode().then(() => true, () => false); // browsers know fewer formats than the server
  if (number === latest) at("photo").hidden = at("result").hidden = !readable;
}

function show(received) {
  answer = received;
  const { faces, found, photo: size } = answer, several = faces.length > 1;
  if (size) {
    // The browser may ignore an orientation that the server follows; then frames would lie elsewhere.
    const same = Math.abs(photo.naturalWidth * size.height / (photo.naturalHeight * size.width) - 1) < 0.02;
    at("photo").hidden ||= !same;
    photo.alt = `The photograph, with a frame around ${several ? `each of ${faces.length} faces` : "the face"}`;
  }
  document.querySelector("#photo div").append(...faces.filter(face => face.frame).map((face, index) => {
    const frame = element("span", "frame"); // for the mouse; the buttons of `#faces` do the same for all
    for (const [side, fraction] of Object.entries(face.frame)) frame.style[side] = `${100 * fraction}%`;
    if (several) {
      frame.append(element("span", "", index + 1));
      frame.addEventListener("click", () => choose(index));
    }
    return frame;
  }));
  at("faces").hidden = !several;
  at("faces").replaceChildren(...faces.map((face, index) => {
    const button = element("button", "", `Face ${index + 1} of ${faces.length}`), image = element("img", "");
    button.type = "button";
    image.src = face.image;
    image.alt = "";
    button.prepend(image);
    button.addEventListener("click", () => choose(index));
    return button;
  }));
  const more = found > faces.length ? `; the ${faces.length} largest are shown` : "";
  for (const part of [at("result"), ...document.querySelectorAll(".answer")]) part.hidden = false;
  choose(0, size ? `${count(found, "face")} found${more}` : "Aligned crop");
  if (at("result").getBoundingClientRect().top > 0.6 * innerHeight) at("status").scrollIntoView();
}

function choose(index, before = "") {
  const { groups, image, masks } = answer.faces[index], number = answer.faces.length, colors = {};
  const name = number > 1 ? `Face ${index + 1} of ${number}` : "";
  [...at("faces").children].forEach((button, i) => button.setAttribute("aria-pressed", i === index));
  document.querySelectorAll(".frame").forEach((frame, i) => frame.classList.toggle("chosen", i === index));
  at("title").textContent = name || "Attributes";
  at("aligned").src = image;
  at("face").querySelectorAll(".mask").forEach(mask => mask.remove());
  at("regions").hidden = !masks;
  for (const region of masks?.regions ?? []) {
    const mask = element("div", "mask");
    mask.dataset.name = region.name;
    for (const [side, fraction] of Object.entries(masks.box)) mask.style[side] = `${100 * fraction}%`;
    mask.style.background = colors[region.name] = region.color;
    mask.style.maskImage = `url(${region.image})`;
    at("face").append(mask);
  }
  highlight();
  at("groups").replaceChildren(...groups.map(group => groupOf(group, colors[group.region])));
  const address = new URL(`v1/models/${answer.model}`, location.href).href;
  at("curl").textContent =
    `printf '{"inputs": {"bytes": [{"b64": "%s"}]}}' $(base64 -w0 crop.png) |\n    curl -d @- ${address}:predict`;
  at("save").href = image;
  at("names").href = `${address}/farkeras.json`;
  const attributes = groups.flatMap(group => group.attributes).sort((a, b) => b.probability - a.probability);
  const first = attributes.slice(0, 3).map(one => `${readable(one.name)} ${percent(one.probability)}`).join(", ");
  say(`${[before, name].filter(Boolean).join(". ")}: ${first}.`);
}

function groupOf({ name, region, attributes }, color) {
  const made = element("section", "group"), heading = element("h3", ""), list = element("ul", "");
  if (color) {
    const button = element("button", "", readable(name)), chip = element("span", "chip");
    const pressed = () => button.getAttribute("aria-pressed") === "true";
    chip.style.background = color;
    button.prepend(chip);
    button.type = "button";
    button.title = `Show only the region ${readable(region)}`;
    button.setAttribute("aria-pressed", false);
    button.addEventListener("click", () => {
      const press = !pressed();
      for (const other of document.querySelectorAll("h3 button")) other.setAttribute("aria-pressed", false);
      button.setAttribute("aria-pressed", press);
      highlight(press ? region : undefined);
    });
    heading.append(button);
  } else heading.textContent = readable(name);
  list.setAttribute("role", "list"); // Safari drops it with the bullets
  list.append(...attributes.map(attributeOf));
  made.append(heading, list);
  return made;
}

function attributeOf({ name, probability, threshold, positive }) {
  const row = element("li", positive ? "row likely" : "row");
  const bar = element("div", "bar"), part = element("span", ""), tick = element("i", "");
  part.style.width = `${100 * probability}%`;
  tick.style.left = `${100 * threshold}%`;
  row.title = `The model answers yes from ${percent(threshold)}`;
  bar.append(part, tick);
  bar.setAttribute("aria-hidden", "true");
  row.append(element("span", "name", readable(name)), bar, element("span", "percent", percent(probability)));
  return row;
}

function highlight(region) {
  if (region) at("face").dataset.shown = region;
  else delete at("face").dataset.shown;
  for (const mask of document.querySelectorAll(".mask")) mask.classList.toggle("shown", mask.dataset.name === region);
}

let stream, opening = 0;
const HIDDEN = "The camera was stopped, because the page was hidden.";
const REASONS = {
  NotAllowedError: "The browser does not allow the camera; allow it for this page, or choose a photograph.",
  NotFoundError: "The browser found no camera; choose a photograph instead.",
};

async function openCamera() {
  const number = ++opening;
  say("The browser asks for your permission to use the camera …");
  try {
    const wanted = { facingMode: "user", width: { ideal: 1280 } };
    const received = await navigator.mediaDevices.getUserMedia({ video: wanted });
    if (number !== opening) return received.getTracks().forEach(track => track.stop());
    stream = received;
    if (document.hidden) return closeCamera(HIDDEN);
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => closeCamera("The camera stopped; start it again or choose a photograph."));
    at("video").classList.toggle("mirrored", track.getSettings().facingMode !== "environment");
    at("video").srcObject = stream;
    at("viewer").hidden = false;
    at("camera").hidden = true;
    at("stop").focus();
    await at("video").play();
    at("take").disabled = false;
    at("take").focus();
    say("The camera is on.");
  } catch (error) {
    if (number !== opening) return;
    closeCamera(REASONS[error.name] ?? "The camera does not start; another program may be using it.");
  }
}

function closeCamera(reason) {
  const focused = at("viewer").contains(document.activeElement);
  opening++;
  stream?.getTracks().forEach(track => track.stop());
  stream = at("video").srcObject = null;
  at("viewer").hidden = at("take").disabled = true;
  at("camera").hidden = !(isSecureContext && navigator.mediaDevices?.getUserMedia);
  if (focused) at("camera").focus();
  if (reason) say(reason, true);
}

function takePicture() {
  const canvas = element("canvas", ""), video = at("video");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  closeCamera();
  canvas.toBlob(file => recognize(file), "image/jpeg", 0.95);
}

function receive([file], otherwise) {
  if (file) recognize(file, at("crop").checked);
  else say(otherwise, true);
}

at("camera").addEventListener("click", openCamera);
at("take").addEventListener("click", takePicture);
at("stop").addEventListener("click", () => { closeCamera(); say("The camera is off."); });
for (const event of ["visibilitychange", "pagehide"]) {
  addEventListener(event, () => {
    if (stream && (document.hidden || event === "pagehide")) {
      closeCamera(HIDDEN);
    }
  });
}
at("masks").addEventListener("change", () => at("face").classList.toggle("plain", !at("masks").checked));
at("example").addEventListener("click", async () => {
  try {
    recognize(await (await answered("demo/example.jpg")).blob());
  } catch (error) {
    say(error.message, true);
  }
});
at("file").addEventListener("change", () => {
  if (at("file").files.length) receive(at("file").files);
  at("file").value = ""; // or the same file could not be chosen again
});
addEventListener("paste", action => {
  receive(action.clipboardData.files, "The clipboard holds no image; copy an image, then paste it.");
});
for (const event of ["dragover", "dragleave", "drop"]) {
  addEventListener(event, action => {
    action.preventDefault(); // else the browser would open the file
    at("drop").classList.toggle("over", event === "dragover");
    if (event === "drop") receive(action.dataTransfer.files, "That is not a file; drop an image file.");
  });
}
closeCamera();
describe().catch(error => say(error.message, true));
