// LanceDB's warnings would stand among our lines in another form, and say nothing that a person can do; what fails is thrown. It reads
// this when it is loaded.
process.env['LANCEDB_LOG'] ??= 'error'
