import { StringDecoder } from 'node:string_decoder';

// Every way to cut a text in two or three.
const samples = [Buffer.from('aé☃😀z'), Buffer.from([0xe2, 0x98, 0x41, 0xff, 0xf0, 0x9f, 0x98, 0xc3]), Buffer.from([0xf0, 0x9f, 0x80]), Buffer.from([0x80, 0x80, 0xe2, 0x82, 0xac, 0xed, 0xa0, 0x80]), Buffer.from('😀a\ud83d☃', 'ucs2')];
for (const encoding of ['utf8', 'utf16le', 'base64', 'base64url', 'hex', 'latin1', 'ascii'])
	for (const bytes of samples)
		for (let i = 0; i <= bytes.length; i++)
			for (let k = i; k <= bytes.length; k += 2) {
				const decoder = new StringDecoder(encoding);
				const parts = [decoder.write(bytes.subarray(0, i)), decoder.write(bytes.subarray(i, k)), decoder.lastNeed, decoder.write(bytes.subarray(k)), decoder.end()];
				console.log(encoding, i, k, JSON.stringify(parts));
			}
// One byte at a time.
for (const bytes of samples) {
	const decoder = new StringDecoder('utf8');
	console.log(JSON.stringify([...bytes].map((byte) => decoder.write(Buffer.of(byte)))), JSON.stringify(decoder.end()));
	const wide = new StringDecoder('utf16le');
	console.log(JSON.stringify([...bytes].map((byte) => wide.write(Buffer.of(byte)))), JSON.stringify(wide.end()));
}
try {
	new StringDecoder('nope');
} catch (error) {
	console.log(error.name, error.code, error.message);
}
try {
	new StringDecoder().write(5);
} catch (error) {
	console.log(error.name, error.code, error.message);
}
