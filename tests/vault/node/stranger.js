// What an application in Node.js does with node-vault. The address and the token are in its environment, what the
// server calls things comes as JSON from standard input, and what came of each step goes to standard output.
'use strict';

const words = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const vault = require('node-vault')();
const bare = require('node-vault')({ noCustomHTTPVerbs: true });
const machine = require('node-vault')(); // a token of its own, which it throws away
machine.token = undefined;
const path = 'secret/data/production/node/db';
const metadata = 'secret/metadata/production/node/db';

// One after the other: each step may need what the ones before it did.
const steps = {
  'node health': () => vault.health(),
  'node status': () => vault.status(),
  'node write': () => vault.write(path, { data: { username: 'shop', password: 'first' } }),
  'node write again': () => vault.write(path, { data: { username: 'shop', password: 'second' } }),
  'node write late': () => vault.write(path, { data: { password: 'late' }, options: { cas: 1 } }),
  'node read': () => vault.read(path),
  'node read a version': () => vault.read(`${path}?version=1`),
  'node update': () => vault.update(path, { data: { port: '5432' } }),
  'node read what was updated': () => vault.read(path),
  'node list': () => vault.list('secret/metadata/production/node'),
  'node list by GET': () => bare.list('secret/metadata/production/node'),
  'node delete': () => vault.delete(path),
  'node read what was deleted': () => vault.read(path),
  'node undelete': () => vault.write('secret/undelete/production/node/db', { versions: [3] }),
  'node read what came back': () => vault.read(path),
  'node destroy': () => vault.write('secret/destroy/production/node/db', { versions: [1] }),
  'node read metadata': () => vault.read(metadata),
  'node delete for good': () => vault.delete(metadata),
  'node read what is gone': () => vault.read(path),
  'node static credentials': () => vault.read(`database/static-creds/${words['static role']}`),
  'node look itself up': () => vault.tokenLookupSelf(),
  'node log in by approle': () => machine.approleLogin({ role_id: words.role_id, secret_id: words.secret_id }),
  'node renew itself': () => machine.tokenRenewSelf({ increment: '10m' }),
  'node revoke itself': () => machine.tokenRevokeSelf(),
  'node use what was revoked': () => machine.tokenLookupSelf(),
  'node log in by kubernetes': () => vault.kubernetesLogin({ mount_point: 'kubernetes', role: 'app', jwt: words['kubernetes jwt'] }),
  'node log in with a wrong secret': () => vault.approleLogin({ role_id: words.role_id, secret_id: 'wrong' }),
};

(async () => {
  const came = {};
  for (const [name, step] of Object.entries(steps)) {
    try {
      came[name] = { value: (await step()) ?? null };
    } catch (error) {
      if (!error.response) throw error;
      const { statusCode, body } = error.response;
      came[name] = { status: statusCode, body: body.errors ? { ...body, errors: body.errors.map(() => '<text>') } : body };
    }
  }
  process.stdout.write(JSON.stringify(came));
})();
