// Drives the JavaScript client through all that it can do and tells what it saw.
//
// Run by tests/e2e/test_javascript_client.py: node javascript_cycle.mjs FILE-OF-THE-CLIENT. On stdin comes a JSON
// object: `owner`, `organization`, and `dataset` and `table`, the names of a released dataset of the owner and its
// table. For each section it prints a line `facts: {"section":, "facts":}`.

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const redivis = await import(pathToFileURL(process.argv[2]));
const given = JSON.parse(readFileSync(0, 'utf8'));

async function refusal(call) {
	try {
		await call();
	} catch (error) {
		return { status: error.status ?? null, text: error.message };
	}
	return null;
}

const names = (things) => things.map(({ name }) => name);
const pick = (properties, ...keys) => Object.fromEntries(keys.map((key) => [key, properties[key]]));
const released = () => redivis.user(given.owner).dataset(given.dataset);

// A dataset from its creation to its end.
async function datasets() {
	const dataset = redivis.organization(given.organization).dataset('Made in JavaScript');
	const facts = { existedBefore: await dataset.exists(), getBefore: await refusal(() => dataset.get()) };
	await dataset.create({ description: 'about it' });
	facts.created = pick(dataset.properties, 'name', 'description', 'publicAccessLevel');
	await dataset.update({ publicAccessLevel: 'overview', description: 'more of it' });
	facts.updated = pick(dataset.properties, 'name', 'description', 'publicAccessLevel');
	facts.exists = await dataset.exists();
	facts.existsReleased = await redivis.organization(given.organization).dataset('Made in JavaScript').exists();
	facts.nextExists = await refusal(() => dataset.createNextVersion());
	facts.listed = names(await redivis.organization(given.organization).listDatasets());
	facts.listedAtMost = names(await redivis.organization(given.organization).listDatasets({ maxResults: 1 })).length;
	const [listed] = (await redivis.organization(given.organization).listDatasets()).filter(
		({ name }) => name === dataset.name,
	);
	facts.listedVersion = listed.version;
	await dataset.delete();
	facts.existsAfter = await dataset.exists();
	return facts;
}

// The versions of a released dataset.
async function versions() {
	const dataset = await released().get();
	const facts = { exists: await released().exists(), tag: dataset.getProperty('version').tag };
	const next = await released().createNextVersion();
	facts.tagOfNext = next.properties.nextVersion.tag;
	facts.nextAgain = await refusal(() => released().createNextVersion());
	await released().createNextVersion({ ignoreIfExists: true });
	const listed = await dataset.listVersions();
	facts.tags = listed.map(({ tag }) => tag).sort();
	const first = listed.find(({ tag }) => tag === 'v1.0');
	facts.first = pick((await first.get()).properties, 'tag', 'isReleased', 'releaseNotes');
	facts.unchanged = await refusal(() => released().release());
	const nextTable = redivis.user(given.owner).dataset(given.dataset, { version: 'next' }).table(given.table);
	facts.rowsOfNext = (await nextTable.get()).properties.numRows;
	return facts;
}

// The version that the test has changed, released.
async function release() {
	const dataset = await redivis.user(given.owner).dataset(given.dataset, { version: 'next' }).release();
	return { tag: dataset.properties.version.tag, tags: (await dataset.listVersions()).map(({ tag }) => tag).sort() };
}

// Tables and their variables.
async function tables() {
	const dataset = released();
	const table = dataset.table(given.table);
	const facts = { listed: names(await dataset.listTables()), exists: await table.exists() };
	facts.missing = await dataset.table('nowhere').exists();
	facts.getMissing = await refusal(() => dataset.table('nowhere').get());
	const variables = await table.listVariables();
	facts.variables = variables.map(({ name, type }) => [name, type]);
	facts.variablesAtMost = names(await table.listVariables({ maxResults: 2 }));
	facts.variableExists = [await table.variable('SITE').exists(), await table.variable('nowhere').exists()];
	facts.variable = pick((await table.variable('site').get()).properties, 'name', 'type', 'label');
	await table.get();
	facts.got = pick(table.properties, 'name', 'numRows');
	return facts;
}

// Rows, by listRows and, as of large tables, by a read session.
async function rows() {
	const dataset = released();
	const facts = { all: await dataset.table(given.table).listRows() };
	facts.some = await dataset.table(given.table).listRows(2, { variables: ['COUNT', 'site'] });
	facts.one = await dataset.table(given.table).listRows({ maxResults: 1, variables: ['site'] });
	const large = await dataset.table(given.table).get();
	large.properties.numBytes = 2e8;
	facts.sessionAll = await large.listRows();
	facts.sessionSome = await large.listRows(2, { variables: ['COUNT', 'site'] });
	const versionOne = redivis.user(given.owner).dataset(given.dataset, { version: 'v1.0' });
	facts.ofVersion = (await versionOne.table(given.table).listRows({ variables: ['site'] })).length;
	return facts;
}

// Another token, from the start: the client keeps the one that it began with.
async function errors() {
	return { token: await refusal(() => released().get()), tokenExists: await refusal(() => released().exists()) };
}

for (const section of [datasets, versions, release, tables, rows, errors]) {
	if (given.sections.includes(section.name)) {
		console.log(`facts: ${JSON.stringify({ section: section.name, facts: await section() })}`);
	}
}
