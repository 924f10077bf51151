// The start of a page that was saved and needs no server: what is shown, and what the server answered, lie in the page.

import { bytes } from "./dom.js";

/** Mounts what the page is about. Whatever the scripts ask for is answered from the page. */
export default function alone(mount) {
  const { data, answers } = JSON.parse(document.querySelector("#said").textContent);
  globalThis.fetch = async (path) => {
    const answer = answers[path.split("?")[0]];
    return answer === undefined ? new Response("", { status: 404 }) : new Response(bytes(answer));
  };
  mount({ data, parentElement: document.querySelector("main"), setStateValue() {} });
}
