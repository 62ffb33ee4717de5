// A SAML provider as its authors have it (samlp), behind Node's own server: they write for Express, which is little.
// What it is to be is a JSON object on standard input: port, accounts, key, cert, and what may differ.
// Who signs in is said by `login` in the address of the request, else it is the first account; who leaves is told to Keywright by /leave.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { parse } from 'node:querystring'

const wanted = JSON.parse(readFileSync(0, 'utf8'))
const samlp = createRequire(`${wanted.modules}/`)('samlp')
const here = `http://127.0.0.1:${wanted.port}`
const keys = { issuer: `${here}/metadata`, cert: wanted.cert, key: wanted.key }
const sessions = []

function mapper (account) {
  return {
    getClaims: () => account.said,
    getNameIdentifier: () => ({ nameIdentifier: account.id, nameIdentifierFormat: account.format })
  }
}
mapper.prototype.metadata = []

function signOn (request, response, next) {
  const id = request.query.login || Object.keys(wanted.accounts)[0]
  const sessionIndex = `_${id}-${sessions.length}`
  const place = { serviceProviderId: `${wanted.place}/metadata`, serviceProviderLogoutURL: `${wanted.place}/logout` }
  const binding = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect'
  sessions.push({ ...place, sessionIndex, nameId: id, binding, cert: wanted.ours })
  samlp.auth({
    ...keys,
    ...wanted.options,
    signingCert: wanted.ours,
    profileMapper: mapper,
    lifetimeInSeconds: 300,
    sessionIndex,
    recipient: `${wanted.place}/acs`,
    destination: `${wanted.place}/acs`,
    getUserFromRequest: () => ({ id, ...wanted.accounts[id] }),
    getPostURL: (audience, dom, request, callback) => callback(null, `${wanted.place}/acs`)
  })(request, response, next)
}

const store = new Map() // what waits between two steps of a sign-out
const leave = samlp.logout({
  ...keys,
  deflate: true,
  protocolBinding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect',
  destination: `${wanted.place}/logout`,
  sessionParticipants: new (createRequire(`${wanted.modules}/`)('samlp/lib/sessionParticipants'))(sessions),
  store: {
    save: (request, state, done) => { const name = `s${store.size}`; store.set(name, state); done(null, name) },
    load: (request, name, options, done) => (done || options)(null, store.get(name)),
    update: (request, name, state, done) => { store.set(name, state); done() }
  }
})

const pages = { '/sso': signOn, '/leave': leave, '/slo': leave, '/metadata': samlp.metadata({
  ...keys,
  profileMapper: mapper,
  redirectEndpointPath: '/sso',
  postEndpointPath: '/sso',
  logoutEndpointPaths: { redirect: '/slo' },
  endpoint: here
}) }

createServer((request, response) => {
  const url = new URL(request.url, here)
  request.query = parse(url.search.slice(1))
  request.body = {}
  request.session = {}
  request.protocol = 'http'
  request.get = (name) => request.headers[name.toLowerCase()]
  request.originalUrl = request.url
  response.set = (name, value) => response.setHeader(name, value)
  response.send = (body) => typeof body === 'number' ? response.writeHead(body).end(String(body)) : response.end(body)
  response.redirect = (to) => response.writeHead(302, { Location: to }).end()
  const page = pages[url.pathname]
  const failed = (error) => { console.error(error); response.writeHead(500).end(String(error)) }
  try {
    page ? page(request, response, failed) : response.writeHead(404).end()
  } catch (error) {
    failed(error)
  }
}).listen(wanted.port, '127.0.0.1', () => console.log('ready'))
