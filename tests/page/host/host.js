/** The host hears of keys, and lists what it hears. */

for (const name of ["apikey-created", "apikey-revoked"]) {
  document.addEventListener(name, ({ detail }) => {
    document.querySelector("#events").textContent += `${name} ${JSON.stringify(detail)}\n`;
  });
}
