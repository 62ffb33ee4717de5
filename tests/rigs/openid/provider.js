// An OpenID provider as its authors have it, with the pages that it brings for development.
// What it is to be is a JSON object on standard input: port, clients, accounts, jwks, and what may differ.
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const wanted = JSON.parse(readFileSync(0, 'utf8'))
const { default: Provider } = await import(pathToFileURL(`${wanted.modules}/oidc-provider/lib/index.js`))

const provider = new Provider(`http://127.0.0.1:${wanted.port}`, {
  clients: wanted.clients,
  jwks: wanted.jwks,
  cookies: { keys: ['of no use beyond this test'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
  scopes: ['openid', 'email', 'profile', 'groups'],
  conformIdTokenClaims: wanted.bare,
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...(wanted.resource ? {} : wanted.accounts[id]) }) }),
  extraTokenClaims: (ctx, token) => (wanted.resource ? wanted.accounts[token.accountId] : {}),
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
  // It calls back to no address of this machine, unless somebody else does the calling.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  features: {
    devInteractions: { enabled: true },
    backchannelLogout: { enabled: true },
    resourceIndicators: {
      enabled: Boolean(wanted.resource),
      defaultResource: () => wanted.resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'openid email profile groups', audience: wanted.resource, accessTokenFormat: 'jwt'
      })
    }
  }
})
provider.on('server_error', (ctx, error) => console.error(error))
provider.on('backchannel.error', (ctx, error) => console.error(error))
provider.listen(wanted.port, '127.0.0.1', () => console.log('ready'))
