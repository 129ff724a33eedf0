<?php
// Each service provider that this company knows is one file. What its metadata wants signed is overruled here, as an
// administrator would.
$signed = getenv('PEER_SIGNED');
foreach (glob(getenv('PEER_FOLDER') . '/*-sp.xml') as $file) {
    foreach (SimpleSAML\Metadata\SAMLParser::parseDescriptorsFile($file) as $entityId => $entity) {
        $metadata[$entityId] = [
            'saml20.sign.response' => in_array($signed, ['response', 'both']),
            'saml20.sign.assertion' => in_array($signed, ['assertion', 'both']),
        ] + $entity->getMetadata20SP();
    }
}
