// The open API's signature (2.5.2) and the request that has it, as headers, curl, Python and JavaScript. No I/O.

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const NONCE_LENGTH = 16;

/** 16 random characters a-z, A-Z, 0-9. */
export function newNonce() {
  const letters = [];
  while (letters.length < NONCE_LENGTH) {
    for (const byte of crypto.getRandomValues(new Uint8Array(24))) {
      // 248 = 4 * 62: a byte above it would make some letters likelier.
      if (byte < 248 && letters.length < NONCE_LENGTH) letters.push(LETTERS[byte % LETTERS.length]);
    }
  }
  return letters.join("");
}

/** What is hashed, in this order: nonce, apikey, secret, token. */
export const signatureBase = ({ nonce, apikey, secret, token }) => `${nonce}${apikey}${secret}${token}`;

/** The three headers of a signed request. */
export function signedHeaders(keys) {
  return {
    "X-IOT-APP": keys.apikey,
    "X-IOT-Signature": `${keys.nonce}:${sha1(signatureBase(keys))}`,
    "X-IOT-Token": keys.token,
  };
}

const rotated = (word, bits) => (word << bits) | (word >>> (32 - bits));

/** SHA-1 (RFC 3174) of a text in UTF-8; browsers have their own on https and localhost only. */
export function sha1(text) {
  const state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  const bytes = padded(new TextEncoder().encode(text));
  const view = new DataView(bytes.buffer);
  for (let offset = 0; offset < bytes.length; offset += 64) block(state, view, offset);
  return state.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

function padded(bytes) {
  const whole = new Uint8Array((((bytes.length + 8) >> 6) + 1) << 6);
  whole.set(bytes);
  whole[bytes.length] = 0x80;
  new DataView(whole.buffer).setUint32(whole.length - 4, bytes.length * 8);
  return whole;
}

function block(state, view, offset) {
  const words = [];
  for (let n = 0; n < 80; n += 1) {
    words.push(n < 16 ? view.getUint32(offset + n * 4) : rotated(words[n - 3] ^ words[n - 8] ^ words[n - 14] ^ words[n - 16], 1));
  }
  let [a, b, c, d, e] = state;
  words.forEach((word, n) => {
    const [mixed, constant] = n < 20 ? [(b & c) | (~b & d), 0x5a827999]
      : n < 40 ? [b ^ c ^ d, 0x6ed9eba1]
        : n < 60 ? [(b & c) | (b & d) | (c & d), 0x8f1bbcdc]
          : [b ^ c ^ d, 0xca62c1d6];
    [a, b, c, d, e] = [(rotated(a, 5) + mixed + e + constant + word) | 0, a, rotated(b, 30), c, d];
  });
  [a, b, c, d, e].forEach((word, n) => { state[n] = (state[n] + word) | 0; });
}

/** The address of a request. */
export function addressOf(base, { path, query }) {
  const asked = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
  return `${base}${path}${asked.size ? `?${asked}` : ""}`;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The request as a curl command; its nonce is good for one use. */
export function asCurl(base, request, headers) {
  const lines = [`curl -X ${request.method} ${quoted(addressOf(base, request))}`,
    ...Object.entries(headers).map(([name, value]) => `  -H ${quoted(`${name}: ${value}`)}`)];
  if (request.body !== null) lines.push(`  -H 'Content-Type: application/json'`, `  -d ${quoted(JSON.stringify(request.body))}`);
  return lines.join(" \\\n");
}

/** The request in Python, whose standard library is enough; it signs anew each time. */
export function asPython(base, request, { apikey, secret, token }) {
  const text = (value) => JSON.stringify(value);
  return `import hashlib, json, secrets, string
from urllib.error import HTTPError
from urllib.request import Request, urlopen

apikey, secret, token = ${text(apikey)}, ${text(secret)}, ${text(token)}
nonce = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(16))
digest = hashlib.sha1((nonce + apikey + secret + token).encode()).hexdigest()
headers = {"X-IOT-APP": apikey, "X-IOT-Signature": f"{nonce}:{digest}", "X-IOT-Token": token,
           "Content-Type": "application/json"}
body = ${request.body === null ? "None" : `json.dumps(json.loads(${text(JSON.stringify(request.body))})).encode()`}
request = Request(${text(addressOf(base, request))}, body, headers, method=${text(request.method)})
try:
    with urlopen(request, timeout=15) as answer:
        print(answer.status, answer.read().decode())
except HTTPError as error:
    print(error.code, error.read().decode())
`;
}

/** The request in JavaScript, for Node and for pages on https or localhost. */
export function asJavaScript(base, request, { apikey, secret, token }) {
  const text = (value) => JSON.stringify(value);
  return `const [apikey, secret, token] = ${text([apikey, secret, token])};
const letters = "${LETTERS}";
const nonce = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => letters[byte % 62]).join("");
const hash = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(nonce + apikey + secret + token));
const digest = Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
const answer = await fetch(${text(addressOf(base, request))}, {
  method: ${text(request.method)},
  headers: { "X-IOT-APP": apikey, "X-IOT-Signature": \`\${nonce}:\${digest}\`, "X-IOT-Token": token, "Content-Type": "application/json" },
  body: ${request.body === null ? "undefined" : text(JSON.stringify(request.body))},
});
console.log(answer.status, await answer.text());
`;
}
