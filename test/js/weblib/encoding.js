'use strict';

const bytes = (...list) => new Uint8Array(list);

test('encode', () => {
	const encoder = new TextEncoder();
	same([...encoder.encode('aä漢😀')], [97, 0xc3, 0xa4, 0xe6, 0xbc, 0xa2, 0xf0, 0x9f, 0x98, 0x80]);
	same([...encoder.encode('\ud800x')], [0xef, 0xbf, 0xbd, 0x78]);
	equal(encoder.encode().length, 0);
	equal(encoder.encode('ä'.repeat(10000)).length, 20000);
	equal(encoder.encode('a'.repeat(10000)).length, 10000);
	equal(encoder.encoding, 'utf-8');
});

test('encodeInto never cuts a character', () => {
	const encoder = new TextEncoder();
	const target = new Uint8Array(5);
	same({ ...encoder.encodeInto('aä漢', target) }, { read: 2, written: 3 });
	same([...target], [97, 0xc3, 0xa4, 0, 0]);
	same({ ...encoder.encodeInto('😀😀', target) }, { read: 2, written: 4 });
	same({ ...encoder.encodeInto('x', new Uint8Array(0)) }, { read: 0, written: 0 });
	same({ ...encoder.encodeInto('ab', target.subarray(4)) }, { read: 1, written: 1 });
	throws(() => encoder.encodeInto('x', new ArrayBuffer(1)), TypeError);
});

test('decode UTF-8: lossy, fatal, BOM', () => {
	const decoder = new TextDecoder();
	equal(decoder.decode(bytes(0xef, 0xbb, 0xbf, 97)), 'a');
	equal(new TextDecoder('utf8', { ignoreBOM: true }).decode(bytes(0xef, 0xbb, 0xbf, 97)), '\ufeffa');
	equal(decoder.decode(bytes(0xf0, 0x9f, 0x41, 0xff)), '\ufffdA\ufffd');
	equal(decoder.decode(bytes(0xe0, 0x80, 0x80)), '\ufffd\ufffd\ufffd');
	equal(decoder.decode(bytes(0xed, 0xa0, 0x80)), '\ufffd\ufffd\ufffd');
	equal(decoder.decode(new DataView(bytes(97, 98, 99).buffer, 1)), 'bc');
	equal(decoder.decode(bytes(97).buffer), 'a');
	equal(decoder.decode(new SharedArrayBuffer(1)), '\0');
	equal(decoder.decode(), '');
	const fatal = new TextDecoder('utf-8', { fatal: true });
	throws(() => fatal.decode(bytes(0xc3)), { name: 'TypeError', code: 'ERR_ENCODING_INVALID_ENCODED_DATA' });
	equal(fatal.decode(bytes(0xc3, 0xa4)), 'ä');
	throws(() => decoder.decode('text'), TypeError);
	throws(() => decoder.decode(bytes(1), 1), TypeError);
});

test('decode UTF-8: large inputs of every kind', () => {
	const encoder = new TextEncoder();
	const decoder = new TextDecoder();
	for (const part of ['a', 'ä', '漢', '😀', 'aä漢😀'])
		for (const count of [1, 500, 5000]) {
			const text = part.repeat(count);
			equal(decoder.decode(encoder.encode(text)), text);
		}
	const broken = encoder.encode('漢'.repeat(3000));
	broken[4500] = 0xff;
	ok(decoder.decode(broken).includes('\ufffd'));
});

test('decode UTF-8 in pieces of every size', () => {
	const text = '\ufeffaä漢😀 \ud800z'.replace('\ud800', '\ufffd');
	const all = new TextEncoder().encode(text);
	for (let size = 1; size <= all.length; size++) {
		const decoder = new TextDecoder();
		let result = '';
		for (let at = 0; at < all.length; at += size)
			result += decoder.decode(all.subarray(at, at + size), { stream: true });
		result += decoder.decode();
		equal(result, text.slice(1), `pieces of ${size}`);
	}
	const decoder = new TextDecoder();
	equal(decoder.decode(bytes(0xf0, 0x9f), { stream: true }), '');
	equal(decoder.decode(), '\ufffd');
	equal(decoder.decode(bytes(97)), 'a');
});

test('decode UTF-16', () => {
	const le = new TextDecoder('utf-16');
	equal(le.encoding, 'utf-16le');
	equal(le.decode(bytes(0xff, 0xfe, 97, 0)), 'a');
	equal(le.decode(bytes(0x3d, 0xd8, 0x00, 0xde)), '😀');
	equal(le.decode(bytes(0x3d, 0xd8, 97, 0)), '\ufffda');
	equal(le.decode(bytes(97, 0, 98)), 'a\ufffd');
	equal(le.decode(bytes(0x3d, 0xd8, 98)), '\ufffd');
	equal(new TextDecoder('utf-16be').decode(bytes(0xd8, 0x3d, 0xde, 0x00)), '😀');
	throws(() => new TextDecoder('utf-16', { fatal: true }).decode(bytes(1)), TypeError);
	let text = '';
	const pieces = new TextDecoder('utf-16le');
	for (const byte of [0xff, 0xfe, 0x3d, 0xd8, 0x00, 0xde, 97, 0])
		text += pieces.decode(bytes(byte), { stream: true });
	equal(text + pieces.decode(), '😀a');
});

test('legacy encodings', () => {
	equal(new TextDecoder('latin1').encoding, 'windows-1252');
	equal(new TextDecoder('latin1').decode(bytes(0x80, 0xe4)), '€ä');
	equal(new TextDecoder(' ISO-8859-2\n').decode(bytes(0xb1)), 'ą');
	equal(new TextDecoder('koi8-r').decode(bytes(0xc1)), 'а');
	equal(new TextDecoder('shift_jis').decode(bytes(0x93, 0xfa, 0x96, 0x7b)), '日本');
	equal(new TextDecoder('euc-jp').decode(bytes(0xc6, 0xfc)), '日');
	equal(new TextDecoder('gbk').decode(bytes(0xc4, 0xe3)), '你');
	equal(new TextDecoder('gb18030').decode(bytes(0x94, 0x39, 0xda, 0x33)), '\u{1f4a9}');
	equal(new TextDecoder('big5').decode(bytes(0xa4, 0xa4)), '中');
	equal(new TextDecoder('euc-kr').decode(bytes(0xc7, 0xd1)), '한');
	const iso2022 = new TextDecoder('iso-2022-jp');
	equal(iso2022.decode(bytes(0x1b, 0x24, 0x42, 0x46), { stream: true }), '');
	equal(iso2022.decode(bytes(0x7c)), '日');
	throws(() => new TextDecoder('shift_jis', { fatal: true }).decode(bytes(0x80, 0xff)), {
		code: 'ERR_ENCODING_INVALID_ENCODED_DATA',
	});
	throws(() => new TextDecoder('nonsense'), { name: 'RangeError', code: 'ERR_ENCODING_NOT_SUPPORTED' });
	throws(() => new TextDecoder('hz-gb-2312'), RangeError);
	throws(() => new TextDecoder('utf-8\u00a0'), RangeError);
});

test('streams', async () => {
	const source = ReadableStream.from(['a', '\ud83d', '\ude00', '\ud800']);
	const chunks = [];
	for await (const chunk of source.pipeThrough(new TextEncoderStream())) chunks.push(...chunk);
	same(chunks, [97, 0xf0, 0x9f, 0x98, 0x80, 0xef, 0xbf, 0xbd]);
	let text = '';
	const parts = ReadableStream.from([bytes(0xef, 0xbb), bytes(0xbf, 0xe6, 0xbc), bytes(0xa2, 0xe6)]);
	const decoderStream = new TextDecoderStream();
	for await (const chunk of parts.pipeThrough(decoderStream)) text += chunk;
	equal(text, '漢\ufffd');
	equal(decoderStream.encoding, 'utf-8');
	await rejects(
		ReadableStream.from([bytes(0xff)])
			.pipeThrough(new TextDecoderStream('utf-8', { fatal: true }))
			.getReader()
			.read(),
		TypeError,
	);
	await rejects(ReadableStream.from(['x']).pipeThrough(new TextDecoderStream()).getReader().read(), TypeError);
});

test('atob and btoa', () => {
	equal(btoa('\0\xff abc'), 'AP8gYWJj');
	equal(atob('AP8gYWJj'), '\0\xff abc');
	equal(atob(' YQ\n= = '), 'a');
	equal(atob('YQ'), 'a');
	equal(atob('YR'), 'a');
	equal(atob(''), '');
	equal(btoa(''), '');
	equal(btoa(12), 'MTI=');
	equal(atob(btoa('x'.repeat(9999))).length, 9999);
	for (const bad of ['Y', 'YQ=', 'YQ===', 'a!b=', '漢', 'YQ=a', 'a-_b'])
		throws(() => atob(bad), { name: 'InvalidCharacterError', code: 5 }, bad);
	throws(() => btoa('漢'), { name: 'InvalidCharacterError' });
	throws(() => atob(), TypeError);
	equal(btoa('漢ä'.slice(1)), '5A=='); // stored wide, but Latin-1
});
