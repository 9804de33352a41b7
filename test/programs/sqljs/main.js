// sql.js: SQLite as a WebAssembly module, its bytes from the release.
import { readFileSync } from 'node:fs';
import initSqlJs from 'sql.js';

const wasmBinary = readFileSync(new URL('sql-wasm.wasm', import.meta.url));
const SQL = await initSqlJs({ wasmBinary });
const database = new SQL.Database();
database.run('CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, stars REAL)');
database.create_function('twice', (n) => n * 2);

export default {
	async fetch(request) {
		if (request.method === 'POST') {
			const { text, stars } = await request.json();
			database.run('INSERT INTO notes (text, stars) VALUES ($text, $stars)', { $text: text, $stars: stars });
			return Response.json(database.getRowsModified(), { status: 201 });
		}
		const rows = [];
		const statement = database.prepare('SELECT id, text, twice(stars) AS double FROM notes ORDER BY id DESC');
		while (statement.step()) rows.push(statement.getAsObject());
		statement.free();
		const copy = new SQL.Database(database.export());
		const [{ values }] = copy.exec("SELECT count(*), group_concat(text, '+') FROM notes");
		copy.close();
		let error;
		try {
			database.exec('SELECT * FROM missing');
		} catch (caught) {
			error = caught.message;
		}
		return Response.json({ rows, values, error });
	},
};
