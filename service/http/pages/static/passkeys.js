// Forms that an authenticator fills in. `data-challenge` is where the challenge comes from; with `data-make` a new
// passkey is made, else one is shown. What the authenticator answers is sent by the form, like anything that is typed.
"use strict";

async function asked(form) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": form.elements.csrf?.value ?? "" };
  const answer = await fetch(form.dataset.challenge, { method: "POST", headers, body: "{}" });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail);
  return said.public_key;
}

async function shown(form) {
  const options = await asked(form);
  if ("make" in form.dataset) {
    return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) });
  }
  return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
}

for (const form of document.querySelectorAll("form[data-challenge]")) {
  form.hidden = !window.PublicKeyCredential?.parseRequestOptionsFromJSON;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const problem = form.querySelector(".problem");
    problem.hidden = true;
    try {
      form.elements.passkey.value = JSON.stringify((await shown(form)).toJSON());
      form.submit();
    } catch (error) {
      problem.textContent = error.name === "NotAllowedError" ? "No passkey was shown: try again." : error.message;
      problem.hidden = false;
    }
  });
}
