/* Names of errors: those that Node's programs look for. */
#include "isolate/fetch.h"

#include "common/cleanup.h"

#include <openssl/x509_vfy.h>
#include <string.h>

static const struct {
	int error;
	const char *code;
} certificates[] = {
	{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "UNABLE_TO_GET_ISSUER_CERT"},
	{X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE, "UNABLE_TO_DECRYPT_CERT_SIGNATURE"},
	{X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY, "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY"},
	{X509_V_ERR_CERT_SIGNATURE_FAILURE, "CERT_SIGNATURE_FAILURE"},
	{X509_V_ERR_CERT_NOT_YET_VALID, "CERT_NOT_YET_VALID"},
	{X509_V_ERR_CERT_HAS_EXPIRED, "CERT_HAS_EXPIRED"},
	{X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, "ERROR_IN_CERT_NOT_BEFORE_FIELD"},
	{X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD, "ERROR_IN_CERT_NOT_AFTER_FIELD"},
	{X509_V_ERR_OUT_OF_MEM, "OUT_OF_MEM"},
	{X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "DEPTH_ZERO_SELF_SIGNED_CERT"},
	{X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "SELF_SIGNED_CERT_IN_CHAIN"},
	{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"},
	{X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"},
	{X509_V_ERR_CERT_CHAIN_TOO_LONG, "CERT_CHAIN_TOO_LONG"},
	{X509_V_ERR_CERT_REVOKED, "CERT_REVOKED"},
	{X509_V_ERR_INVALID_CA, "INVALID_CA"},
	{X509_V_ERR_PATH_LENGTH_EXCEEDED, "PATH_LENGTH_EXCEEDED"},
	{X509_V_ERR_INVALID_PURPOSE, "INVALID_PURPOSE"},
	{X509_V_ERR_CERT_UNTRUSTED, "CERT_UNTRUSTED"},
	{X509_V_ERR_CERT_REJECTED, "CERT_REJECTED"},
	{X509_V_ERR_HOSTNAME_MISMATCH, "ERR_TLS_CERT_ALTNAME_INVALID"},
	{X509_V_ERR_IP_ADDRESS_MISMATCH, "ERR_TLS_CERT_ALTNAME_INVALID"},
	/* Its identity is what is wrong: the chain was found good. */
	{X509_V_OK, "ERR_TLS_CERT_ALTNAME_INVALID"},
};

const char *fetch_certificate_code(long verify_result)
{
	for (size_t i = 0; i < ARRAY_LENGTH(certificates); i++)
		if (certificates[i].error == verify_result)
			return certificates[i].code;
	return "CERT_REJECTED";
}

static const char *certificate_code(struct fetch_transfer *transfer)
{
	long verify_result = X509_V_OK;
	curl_easy_getinfo(transfer->easy, CURLINFO_SSL_VERIFYRESULT, &verify_result);
	return fetch_certificate_code(verify_result);
}

/* What the kernel said of the connection, or that it was closed. */
static const char *socket_code(struct fetch_transfer *transfer)
{
	long code = 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &code);
	const char *name = code > 0 && code != EINPROGRESS && code != EAGAIN
				   ? strerrorname_np((int)code)
				   : NULL;
	return name ? name : "ECONNRESET";
}

const char *fetch_error_code(struct fetch_transfer *transfer, CURLcode result)
{
	switch (result) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		return certificate_code(transfer);
	case CURLE_OPERATION_TIMEDOUT:
		return "ETIMEDOUT";
	case CURLE_OUT_OF_MEMORY:
		return "ENOMEM";
	case CURLE_TOO_LARGE:
		return "HPE_HEADER_OVERFLOW";
	case CURLE_URL_MALFORMAT:
		return "ERR_INVALID_URL";
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SEND_FAIL_REWIND:
		return socket_code(transfer);
	default: /* TLS, or an answer that is not HTTP */
		return "EPROTO";
	}
}
