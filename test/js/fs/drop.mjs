// Permissions that are given up are gone. Arguments: a folder to read, a folder to write.
import fs from 'node:fs';

const [read, write] = process.argv.slice(2);
const codeOf = (action) => {
	try {
		return `got ${action()}`;
	} catch (error) {
		return error.code;
	}
};
const look = () =>
	console.log(codeOf(() => fs.readFileSync(`${read}/a`)), codeOf(() => fs.writeFileSync(`${write}/x`, 'x')), codeOf(() => fs.readFileSync(`${write}/x`)),
		process.permission.has('fs.read', `${read}/a`), process.permission.has('fs.write', `${write}/x`), process.permission.has('fs.read', `${write}/x`));
look();
console.log(codeOf(() => process.permission.drop('fs.read', '/not/granted')));
process.permission.drop('fs.write', write);
look();
process.permission.drop('fs.read');
look();
console.log(codeOf(() => process.permission.drop('env')));
