// tenantctl run docs/examples/scripts/sum.js -- 1 2 3
const numbers = process.argv.slice(2).map(Number);
if (numbers.some(Number.isNaN)) {
	console.error('sum: numbers only');
	process.exit(2);
}
console.log(numbers.reduce((a, b) => a + b, 0));
