# One identity: it reads the bot's own access key, and after an approval the keys of source and destination.
path "secret/data/oms/*" {
  capabilities = ["read"]
}

# Versions, and which keys are there, without their values.
path "secret/metadata/oms/*" {
  capabilities = ["read"]
}
path "secret/subkeys/oms/*" {
  capabilities = ["read"]
}
