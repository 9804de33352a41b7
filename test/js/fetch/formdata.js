'use strict';

const parse = (text, type) =>
	new Response(text, { headers: { 'content-type': type ?? 'multipart/form-data; boundary=X' } }).formData();
const part = (head, body) => `--X\r\n${head}\r\n\r\n${body}\r\n`;
const END = '--X--\r\n';

test('entries', () => {
	const form = new FormData();
	form.append('a', '1');
	form.append('b', 2);
	form.append('a', '3');
	equal(form.get('a'), '1');
	same(form.getAll('a'), ['1', '3']);
	equal(form.get('c'), null);
	equal(form.has('b'), true);
	form.set('a', 'x');
	same([...form], [['a', 'x'], ['b', '2']]);
	form.set('new', 'y');
	form.delete('a');
	same([...form.keys()], ['b', 'new']);
	same([...form.values()], ['2', 'y']);
	form.append('\ud800', '\ud800');
	equal(form.get('\ufffd'), '\ufffd');
	throws(() => new FormData({}), TypeError);
	throws(() => form.append('a'), TypeError);
	throws(() => form.append('a', 'b', 'c'), TypeError);
	throws(() => FormData.prototype.get.call({}, 'a'), TypeError);
	equal(Object.prototype.toString.call(form), '[object FormData]');
});

test('files', () => {
	const form = new FormData();
	form.append('blob', new Blob(['x'], { type: 'a/b' }));
	const blob = form.get('blob');
	ok(blob instanceof File);
	equal(`${blob.name} ${blob.type} ${blob.size}`, 'blob a/b 1');
	equal(form.get('blob'), blob);
	const file = new File(['y'], 'n.txt', { lastModified: 5 });
	form.append('file', file);
	equal(form.get('file'), file);
	form.append('renamed', file, 'other');
	equal(`${form.get('renamed').name} ${form.get('renamed').lastModified}`, 'other 5');
});

test('there and back', async () => {
	const form = new FormData();
	form.append('plain', 'v\nw\r\nx\ry');
	form.append('na"me\r\n', '\u00e9');
	form.append('f', new File([new Uint8Array([0, 13, 10, 255])], 'a"b.bin', { type: 'x/y' }));
	form.append('empty', '');
	form.append('emptyfile', new Blob([]), '');
	const response = new Response(form);
	const type = response.headers.get('content-type');
	const copy = await new Response(await response.bytes(), { headers: { 'content-type': type } }).formData();
	equal(copy.get('plain'), 'v\r\nw\r\nx\r\ny');
	equal(copy.get('na"me\r\n'), '\u00e9');
	const file = copy.get('f');
	equal(`${file.name} ${file.type} ${[...(await file.bytes())]}`, 'a"b.bin x/y 0,13,10,255');
	equal(copy.get('empty'), '');
	equal(`${copy.get('emptyfile').name} ${copy.get('emptyfile').size}`, ' 0');
	equal([...copy].length, 5);
});

test('what browsers and curl send', async () => {
	const form = await parse(
		part('Content-Disposition: form-data; name="a"', '1') +
			part('content-disposition: form-data; name="u"; filename="x.txt"\r\nContent-Type: Text/Plain', 'data\r\n--Y') +
			part('Content-Disposition: form-data; name="z"; filename="n"\r\nContent-Transfer-Encoding: binary', '') +
			part('Content-Disposition: form-data; name="e"; filename*=UTF-8\'\'a; x="y;z"', 'v') +
			END,
	);
	equal(form.get('a'), '1');
	equal(`${form.get('u').name} ${form.get('u').type} ${await form.get('u').text()}`, 'x.txt text/plain data\r\n--Y');
	equal(`${form.get('z').size} ${form.get('z').type}`, '0 text/plain');
	equal(form.get('e'), 'v');
	equal([...(await parse(END))].length, 0);
	equal((await parse(`\r\n${part('Content-Disposition: form-data; name="a"', 'b')}--X--`)).get('a'), 'b');
	equal((await parse(`--q z\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--q z--`, 'multipart/form-data; boundary="q z"')).get('a'), 'b');
});

test('malformed bodies', async () => {
	const head = 'Content-Disposition: form-data; name="a"';
	for (const bad of [
		'', 'text', '--X', '--X\r\n', '--Y--', `--X\r\n${head}`, `--X\r\n${head}\r\n\r\nvalue`,
		part('Content-Type: a/b', 'x') + END, part('Content-Disposition: form-data', 'x') + END,
		part('Content-Disposition: attachment; name="a"', 'x') + END, part('no colon', 'x') + END,
		part('Content-Disposition: form-data; name="a', 'x') + END, part(head, 'x'),
		part(head, 'x') + '--X!', `--X ${head}\r\n\r\nx\r\n${END}`,
	])
		await rejects(parse(bad), TypeError, JSON.stringify(bad));
	await rejects(parse(END, 'multipart/form-data'), TypeError);
	await rejects(parse('a=b', 'text/plain'), TypeError);
	await rejects(new Response(null).formData(), TypeError);
	await rejects(new Response('x').formData(), TypeError);
});

test('urlencoded', async () => {
	const form = await parse('a=1&b=%C3%A9+x&a=&=e&f', 'application/x-www-form-urlencoded; charset=x');
	same([...form], [['a', '1'], ['b', '\u00e9 x'], ['a', ''], ['', 'e'], ['f', '']]);
	const type = 'application/x-www-form-urlencoded';
	equal([...(await parse('', type))].length, 0);
	equal([...(await new Response(null, { headers: { 'content-type': type } }).formData())].length, 0);
});

test('large forms are parsed in reasonable time', async () => {
	const body = part('Content-Disposition: form-data; name="a"; filename="b"', '\r\n-'.repeat(700000)) + END;
	const started = performance.now();
	equal((await parse(body)).get('a').size, 2100000);
	ok(performance.now() - started < 2000);
});
