let text = '';
process.stdin.setEncoding('utf8');
for await (const chunk of process.stdin) text += chunk;
console.log(process.stdin.fd, text.length, text.split('\n').length, text.slice(0, 20));
