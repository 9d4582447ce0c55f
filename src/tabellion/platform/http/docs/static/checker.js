// The server judges the body with the code that reads it in a call; this page shows what it says.
const body = document.getElementById("body");
const lines = document.getElementById("lines");
const verdict = document.getElementById("verdict");
const call = document.getElementById("call");
const judge = new URL("../check", document.currentScript.src);
let marked = 0;

function number() {
  const count = body.value.split("\n").length;
  lines.replaceChildren(...Array.from({ length: count }, (_, i) => {
    const item = document.createElement("li");
    item.textContent = String(i + 1);
    if (i + 1 === marked) item.className = "wrong";
    return item;
  }));
  lines.scrollTop = body.scrollTop;
}

function show(kind, title, items) {
  const heading = document.createElement("h2");
  heading.textContent = title;
  const list = document.createElement("ul");
  for (const text of items) {
    const item = document.createElement("li");
    item.textContent = text;
    list.append(item);
  }
  verdict.className = kind;
  verdict.replaceChildren(heading, list);
}

// Select the character at fault, so that the eye finds it and typing mends it.
function select(line, column) {
  const before = body.value.split("\n").slice(0, line - 1).join("\n");
  const start = (line > 1 ? before.length + 1 : 0) + Math.max(column - 1, 0);
  body.focus();
  body.setSelectionRange(start, start + 1);
}

async function check() {
  let result;
  try {
    const answer = await fetch(judge + "?call=" + encodeURIComponent(call.value), {
      method: "POST", headers: { "Content-Type": "text/plain" }, body: body.value,
    });
    result = await answer.json();
  } catch (error) {
    show("wrong", "The server did not answer", [String(error)]);
    return;
  }
  marked = result.syntax ? result.syntax.line : 0;
  number();
  if (result.tooLarge) {
    show("wrong", "Too large", ["A body may have at most 2 MB."]);
  } else if (result.syntax) {
    show("wrong", "The syntax is wrong in line " + result.syntax.line + ", column " + result.syntax.column, [result.syntax.message.replace(/^line \d+, column \d+: /, "")]);
    if (result.syntax.line) select(result.syntax.line, result.syntax.column);
  } else if (result.errors.length || result.unknown.length) {
    const errors = result.errors.map((e) => (e.field ? e.field + ": " : "") + e.message);
    const unknown = result.unknown.map((name) => name + ": this call does not know the member and would ignore it");
    show(result.errors.length ? "wrong" : "doubtful", "The syntax is right, the content is not yet", errors.concat(unknown));
  } else {
    show("right", call.value ? "Right: this call can read the body" : "Right: this is JSON", []);
  }
}

document.getElementById("check").addEventListener("click", check);
document.getElementById("format").addEventListener("click", async () => {
  await check();
  if (marked === 0 && body.value.trim()) {
    try { body.value = JSON.stringify(JSON.parse(body.value), null, 2); } catch { return; }
    number();
  }
});
body.addEventListener("input", () => { marked = 0; number(); });
body.addEventListener("scroll", () => { lines.scrollTop = body.scrollTop; });
number();
