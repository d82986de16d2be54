// Serves DynamoDB's API from memory on a free port of this machine, until its standard input ends.
const server = require('dynalite')({ createTableMs: 0, deleteTableMs: 0 })
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
process.stdin.resume().on('end', () => process.exit())
