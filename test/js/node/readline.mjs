import readline from 'node:readline';
import promises from 'node:readline/promises';
import tty from 'node:tty';
import { PassThrough, Readable, Writable } from 'node:stream';
import punycode from 'node:punycode';

for await (const line of readline.createInterface({ input: Readable.from(['eins\nzw', 'ei\r\ndr\rei\n', 'ende']) }))
	console.log(JSON.stringify(line));

const input = new PassThrough();
const written = [];
const output = new Writable({
	write(chunk, encoding, callback) {
		written.push(String(chunk));
		callback();
	},
});
const rl = readline.createInterface({ input, output, prompt: '$ ' });
rl.question('name? ', (answer) => console.log('answer', answer));
input.write('tenant\n');
await new Promise(setImmediate);
rl.prompt();
rl.on('line', (line) => console.log('line', line));
rl.on('close', () => console.log('closed'));
input.end('a\nb\nc');
await new Promise((resolve) => rl.once('close', resolve));
console.log(written);

const asked = promises.createInterface({ input: Readable.from(['yes\n']), output });
console.log(await asked.question('sure? '));
asked.close();
console.log(await asked.question('again?').catch((error) => error.code));

const keys = new PassThrough();
readline.emitKeypressEvents(keys);
keys.on('keypress', (text, key) => console.log(JSON.stringify(text), key.name, key.ctrl));
keys.write('a\x1b[A\x03');
await new Promise((resolve) => setTimeout(resolve, 20));
console.log(readline.clearLine(output, 0), readline.cursorTo(output, 1, 2), JSON.stringify(written.slice(-2)));
console.log(tty.isatty(0), tty.isatty(99), tty.isatty('x'));
try {
	new tty.WriteStream(-1);
} catch (error) {
	console.log(error.code, error.message);
}
console.log(punycode.encode('mañana'), punycode.toUnicode('xn--maana-pta.com'));
