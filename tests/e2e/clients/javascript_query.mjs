// Drives the queries of the JavaScript client and tells what it saw.
//
// Run by tests/e2e/test_query_clients.py: node javascript_query.mjs FILE-OF-THE-CLIENT.

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const redivis = await import(pathToFileURL(process.argv[2]));
JSON.parse(readFileSync(0, 'utf8'));

const rows = await redivis.query("SELECT 1 + 1 AS some_number, 'foo' AS some_string UNION ALL SELECT 4, 'bar' ORDER BY 1").listRows();
let refused = null;
try {
	await redivis.query('SELECT nope').listRows();
} catch (error) {
	refused = error.message;
}
console.log(`\nfacts: ${JSON.stringify({ section: 'query', facts: { rows, refused } })}`);
