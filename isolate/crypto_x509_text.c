/* The texts of certificates, as Node writes them. */

#include "common/cleanup.h"
#include "isolate/crypto_x509.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

engine_value *crypto_bio_string(struct engine *engine, BIO *bio)
{
	char *data;
	const long length = BIO_get_mem_data(bio, &data);
	return engine_string_utf8(engine, data, length > 0 ? (size_t)length : 0);
}

/* ---- names ---- */

/* A name that could be taken for more than one, or for another kind, is written as a JSON
 * string: the text must have one meaning (CVE-2021-44532). In UTF8 only control characters
 * need that, elsewhere all that is not ASCII. */
static bool is_plain(const unsigned char *data, size_t length, bool utf8)
{
	for (size_t i = 0; i < length; i++) {
		const unsigned char c = data[i];
		if (c == '"' || c == '\\' || c == ',' || c == '\'' || c < ' ' || c == 0x7f ||
			(!utf8 && c > '~'))
			return false;
	}
	return true;
}

static void write_name(
	BIO *bio, const unsigned char *data, size_t length, bool utf8, const char *prefix)
{
	const bool plain = is_plain(data, length, utf8);
	if (!plain)
		BIO_puts(bio, "\"");
	if (prefix)
		BIO_printf(bio, "%s:", prefix);
	for (size_t i = 0; i < length; i++) {
		const unsigned char c = data[i];
		if (plain || (c >= ' ' && c <= '~' && c != ',' && c != '"' && c != '\\') ||
			(utf8 && c >= 0x80))
			BIO_write(bio, &c, 1);
		else if (c == '"' || c == '\\')
			BIO_printf(bio, "\\%c", c);
		else
			BIO_printf(bio, "\\u%04x", c);
	}
	if (!plain)
		BIO_puts(bio, "\"");
}

static void write_string(BIO *bio, const ASN1_STRING *string, bool utf8, const char *prefix)
{
	const int length = ASN1_STRING_length(string);
	write_name(
		bio, ASN1_STRING_get0_data(string), length > 0 ? (size_t)length : 0, utf8, prefix);
}

static void write_address(BIO *bio, const ASN1_OCTET_STRING *address)
{
	const unsigned char *data = ASN1_STRING_get0_data(address);
	const int length = ASN1_STRING_length(address);
	BIO_puts(bio, "IP Address:");
	if (length == 4) {
		BIO_printf(bio, "%d.%d.%d.%d", data[0], data[1], data[2], data[3]);
	} else if (length == 16) {
		for (int i = 0; i < 16; i += 2)
			BIO_printf(bio, "%s%X", i ? ":" : "", data[i] << 8 | data[i + 1]);
	} else {
		BIO_printf(bio, "<invalid length=%d>", length);
	}
}

static bool write_directory(BIO *bio, const X509_NAME *name)
{
	char *data;
	BIO *text = BIO_new(BIO_s_mem());
	const unsigned long flags =
		XN_FLAG_RFC2253 & ~(unsigned long)(ASN1_STRFLGS_ESC_MSB | ASN1_STRFLGS_ESC_CTRL);
	const bool good = text && X509_NAME_print_ex(text, name, 0, flags) >= 0;
	if (good) {
		const long length = BIO_get_mem_data(text, &data);
		BIO_puts(bio, "DirName:");
		write_name(bio, (unsigned char *)data, length > 0 ? (size_t)length : 0, true, NULL);
	}
	BIO_free(text);
	return good;
}

static void write_other_name(BIO *bio, const OTHERNAME *name)
{
	static const struct {
		int nid;
		const char *prefix;
		int type;
	} kinds[] = {
		{NID_id_on_SmtpUTF8Mailbox, "SmtpUTF8Mailbox", V_ASN1_UTF8STRING},
		{NID_XmppAddr, "XmppAddr", V_ASN1_UTF8STRING},
		{NID_SRVName, "SRVName", V_ASN1_IA5STRING},
		{NID_ms_upn, "UPN", V_ASN1_UTF8STRING},
		{NID_NAIRealm, "NAIRealm", V_ASN1_UTF8STRING},
	};
	const int nid = OBJ_obj2nid(name->type_id);
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
		if (kinds[i].nid == nid && kinds[i].type == name->value->type) {
			BIO_puts(bio, "othername:");
			write_string(bio, name->value->value.asn1_string,
				kinds[i].type == V_ASN1_UTF8STRING, kinds[i].prefix);
			return;
		}
	BIO_puts(bio, "othername:<unsupported>");
}

static bool write_general_name(BIO *bio, const GENERAL_NAME *name)
{
	char number[256];
	switch (name->type) {
	case GEN_DNS:
		BIO_puts(bio, "DNS:");
		write_string(bio, name->d.ia5, false, NULL);
		return true;
	case GEN_EMAIL:
		BIO_puts(bio, "email:");
		write_string(bio, name->d.ia5, false, NULL);
		return true;
	case GEN_URI:
		BIO_puts(bio, "URI:");
		write_string(bio, name->d.ia5, false, NULL);
		return true;
	case GEN_DIRNAME:
		return write_directory(bio, name->d.dirn);
	case GEN_IPADD:
		write_address(bio, name->d.iPAddress);
		return true;
	case GEN_RID:
		OBJ_obj2txt(number, sizeof number, name->d.rid, 1);
		BIO_printf(bio, "Registered ID:%s", number);
		return true;
	case GEN_OTHERNAME:
		write_other_name(bio, name->d.otherName);
		return true;
	case GEN_X400:
		BIO_puts(bio, "X400Name:<unsupported>");
		return true;
	default:
		BIO_puts(bio, "EdiPartyName:<unsupported>");
		return true;
	}
}

/* ---- extensions ---- */

engine_value *crypto_x509_alt_names(struct engine *engine, const X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	BIO *bio = names ? BIO_new(BIO_s_mem()) : NULL;
	bool good = bio != NULL;
	for (int i = 0; good && i < sk_GENERAL_NAME_num(names); i++) {
		if (i)
			BIO_puts(bio, ", ");
		good = write_general_name(bio, sk_GENERAL_NAME_value(names, i));
	}
	engine_value *text = good ? crypto_bio_string(engine, bio) : NULL;
	BIO_free(bio);
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return text;
}

engine_value *crypto_x509_info_access(struct engine *engine, const X509 *certificate)
{
	AUTHORITY_INFO_ACCESS *list = X509_get_ext_d2i(certificate, NID_info_access, NULL, NULL);
	BIO *bio = list ? BIO_new(BIO_s_mem()) : NULL;
	bool good = bio != NULL;
	for (int i = 0; good && i < sk_ACCESS_DESCRIPTION_num(list); i++) {
		const ACCESS_DESCRIPTION *place = sk_ACCESS_DESCRIPTION_value(list, i);
		char method[80];
		i2t_ASN1_OBJECT(method, sizeof method, place->method);
		BIO_printf(bio, "%s%s - ", i ? "\n" : "", method);
		good = write_general_name(bio, place->location);
	}
	engine_value *text = good ? crypto_bio_string(engine, bio) : NULL;
	BIO_free(bio);
	AUTHORITY_INFO_ACCESS_free(list);
	ERR_clear_error();
	return text;
}

engine_value *crypto_x509_purposes(struct engine *engine, const X509 *certificate)
{
	STACK_OF(ASN1_OBJECT) *list = X509_get_ext_d2i(certificate, NID_ext_key_usage, NULL, NULL);
	engine_value *array = list ? engine_array(engine, NULL, 0) : NULL;
	for (int i = 0; array && i < sk_ASN1_OBJECT_num(list); i++) {
		char number[256];
		if (OBJ_obj2txt(number, sizeof number, sk_ASN1_OBJECT_value(list, i), 1) >= 0)
			engine_set_index(engine, array, engine_array_length(array),
				engine_string(engine, number));
	}
	sk_ASN1_OBJECT_pop_free(list, ASN1_OBJECT_free);
	ERR_clear_error();
	return array;
}

/* ---- the rest ---- */

engine_value *crypto_x509_fingerprint(
	struct engine *engine, const X509 *certificate, const EVP_MD *digest)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	char text[EVP_MAX_MD_SIZE * 3 + 1] = "";
	unsigned length;
	if (X509_digest(certificate, digest, bytes, &length) != 1)
		return NULL;
	for (unsigned i = 0; i < length; i++)
		snprintf(text + (size_t)i * 3, 4, i + 1 < length ? "%02X:" : "%02X", bytes[i]);
	return engine_string(engine, text);
}

engine_value *crypto_x509_serial_number(struct engine *engine, const X509 *certificate)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
	char *hex = number ? BN_bn2hex(number) : NULL;
	engine_value *text = hex ? engine_string(engine, hex) : NULL;
	OPENSSL_free(hex);
	BN_free(number);
	return text;
}

engine_value *crypto_x509_time(struct engine *engine, const ASN1_TIME *time)
{
	BIO *bio = BIO_new(BIO_s_mem());
	engine_value *text = NULL;
	if (bio) {
		ASN1_TIME_print(bio, time);
		text = crypto_bio_string(engine, bio);
	}
	BIO_free(bio);
	ERR_clear_error();
	return text;
}
