# Two identities, the one of the release: the keys of source and destination of each project, and nothing else.
path "secret/data/oms/+/source*" {
  capabilities = ["read"]
}
path "secret/data/oms/+/destination" {
  capabilities = ["read"]
}

# Versions, and which keys are there, without their values.
path "secret/metadata/oms/+/source*" {
  capabilities = ["read"]
}
path "secret/metadata/oms/+/destination" {
  capabilities = ["read"]
}
path "secret/subkeys/oms/+/source*" {
  capabilities = ["read"]
}
path "secret/subkeys/oms/+/destination" {
  capabilities = ["read"]
}
