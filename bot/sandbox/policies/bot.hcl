# The main identity, where there is no release identity: reads the bot's own access key, and the source and destination
# keys.
path "secret/data/oms/*" {
  capabilities = ["read"]
}

# Versions and the names of the keys, without their values.
path "secret/metadata/oms/*" {
  capabilities = ["read"]
}
path "secret/subkeys/oms/*" {
  capabilities = ["read"]
}
