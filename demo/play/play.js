"use strict";
// A click becomes one action of the town. What the page shows comes from the ledgers, not from the click.
const at = (id) => document.getElementById(id);
const make = (tag, content) => Object.assign(document.createElement(tag), { textContent: content });
const BOXES = ["t-a", "t-b"];
const PLUGS = [
  ["broker", "", "broker"],
  ...BOXES.flatMap((box) => [["power", box, `power of ${box}`], ["network", box, `network of ${box}`], ["clock", box, `clock of ${box}`]]),
];
const WORDS = { power: ["on", "off: kill -9"], network: ["on", "cut"], clock: ["right", "1970"], broker: ["on", "stopped"] };
let rows = [];

function button(words, asked) {
  const made = Object.assign(make("button", words), { type: "button" });
  made.addEventListener("click", () => act(made, asked()));
  return made;
}

async function act(made, asked) {
  if (made.ariaBusy === "true") return;
  made.ariaBusy = "true";
  try {
    const reply = await fetch("/act", { method: "POST", body: JSON.stringify(asked) });
    at("seen").textContent = (await reply.json()).seen;
  } catch (error) { at("seen").textContent = "the town does not answer"; }
  made.ariaBusy = "false";
}

function cell(content, kind = "") {
  const made = make("td", "");
  made.className = kind;
  made.append(content);
  return made;
}

function build(children) {
  rows = children.map((child, n) => {
    const row = make("tr", "");
    const euros = ["central", ...BOXES].map(() => cell("", "euro"));
    row.append(cell(child.name), ...BOXES.map((box) => cell(button(box, () => ({ do: "tap", box, child: n })))),
      cell(button("pay 10 €", () => ({ do: "pay", child: n }))), ...euros);
    at("children").append(row);
    return euros;
  });
  for (const [what, box, name] of PLUGS) {
    const made = button("", () => ({ do: what, box, on: made.ariaPressed !== "true" }));
    Object.assign(made.dataset, { what, box, name });
    at("plugs").append(made);
  }
}

function show(state) {
  if (!rows.length) build(state.children);
  state.children.forEach((child, n) => {
    ["central", ...BOXES].forEach((side, k) => { rows[n][k].textContent = child[side]; });
  });
  for (const made of at("plugs").children) {
    const { what, box, name } = made.dataset;
    const on = what === "broker" ? state.broker : state.boxes[box][what];
    made.ariaPressed = String(on);
    made.textContent = `${name}: ${WORDS[what][on ? 0 : 1]}`;
  }
  at("way").dataset.equal = String(state.on_the_way === 0);
  at("way").textContent = state.on_the_way ? `${state.on_the_way} on the way` : "equal";
}

new EventSource("/state").addEventListener("message", (event) => show(JSON.parse(event.data)));
