// Express: a CommonJS entry that listens by itself.
'use strict';
const path = require('node:path');
const express = require('express');

const app = express();
app.use(express.json());
app.use(express.urlencoded({ extended: true }));
app.use('/static', express.static(path.join(__dirname, 'public')));
app.use((req, res, next) => {
	res.set('x-seen', req.method);
	next();
});

app.get('/', (req, res) => res.send('Hello Express'));
app.get('/hello/:name', (req, res) => res.json({ hello: req.params.name, query: req.query.q, host: req.hostname }));
app.post('/notes', (req, res) => res.status(201).json(req.body));
app.post('/form', (req, res) => res.json(req.body));
app.get('/redirect', (req, res) => res.redirect('/'));
app.get('/file', (req, res) => res.sendFile('page.html', { root: path.join(__dirname, 'public') }));
app.get('/stream', (req, res) => {
	let line = 0;
	const timer = setInterval(() => {
		res.write(`line ${++line}\n`);
		if (line === 3) {
			clearInterval(timer);
			res.end();
		}
	}, 5);
});
app.get('/later', async () => {
	await null;
	throw Object.assign(new Error('told to'), { status: 418 });
});
app.use((error, req, res, next) => {
	res.status(error.status ?? 500).json({ error: error.message });
});

app.listen(process.env.PORT, () => console.log('express listens'));
