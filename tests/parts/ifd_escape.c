/* A driver for pcscd: vpcd's, with escape commands and mute cards, as a CCID reader's driver has.
 *
 * When asked for its features (PC/SC part 10) it names a control code that no other driver uses.
 * It appends every escape command as a line of hex to the file LOG, and answers as ACS readers do.
 * Compile with -DVPCD, -DLOG and -DESCAPE (the control code; 0: it names none).
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <PCSC/ifdhandler.h>
#include <PCSC/reader.h>

static void *vpcd(const char *name)
{
	static void *library;
	if (!library)
		library = dlopen(VPCD, RTLD_NOW);
	return library ? dlsym(library, name) : NULL;
}

#define PASS(name, types, ...) \
	RESPONSECODE name types \
	{ \
		RESPONSECODE (*real) types = vpcd(#name); \
		return real ? real(__VA_ARGS__) : IFD_COMMUNICATION_ERROR; \
	}

PASS(IFDHCreateChannel, (DWORD lun, DWORD channel), lun, channel)
PASS(IFDHCreateChannelByName, (DWORD lun, LPSTR device), lun, device)
PASS(IFDHCloseChannel, (DWORD lun), lun)
PASS(IFDHGetCapabilities, (DWORD lun, DWORD tag, PDWORD length, PUCHAR value),
     lun, tag, length, value)
PASS(IFDHSetCapabilities, (DWORD lun, DWORD tag, DWORD length, PUCHAR value),
     lun, tag, length, value)
PASS(IFDHSetProtocolParameters,
     (DWORD lun, DWORD protocol, UCHAR flags, UCHAR a, UCHAR b, UCHAR c),
     lun, protocol, flags, a, b, c)
PASS(IFDHTransmitToICC,
     (DWORD lun, SCARD_IO_HEADER in, PUCHAR sent, DWORD count,
      PUCHAR got, PDWORD length, PSCARD_IO_HEADER out),
     lun, in, sent, count, got, length, out)
PASS(IFDHICCPresence, (DWORD lun), lun)

/* A card whose ATR is one zero byte is mute. vpcd itself accepts any ATR. */
RESPONSECODE IFDHPowerICC(DWORD lun, DWORD action, PUCHAR atr, PDWORD length)
{
	RESPONSECODE (*real)(DWORD, DWORD, PUCHAR, PDWORD) = vpcd("IFDHPowerICC");
	RESPONSECODE code = real ? real(lun, action, atr, length) : IFD_COMMUNICATION_ERROR;
	if (code == IFD_SUCCESS && action != IFD_POWER_DOWN && *length == 1 && atr[0] == 0) {
		*length = 0;
		return IFD_ERROR_POWER_ACTION;
	}
	return code;
}

RESPONSECODE IFDHControl(DWORD lun, DWORD code, PUCHAR sent, DWORD count,
			 PUCHAR got, DWORD room, PDWORD length)
{
	static const UCHAR escape[4] = {
		ESCAPE >> 24 & 0xFF, ESCAPE >> 16 & 0xFF, ESCAPE >> 8 & 0xFF, ESCAPE & 0xFF
	};
	(void)lun;
	*length = 0;
	if (code == CM_IOCTL_GET_FEATURE_REQUEST) {
		if (ESCAPE && room >= 6) {
			got[0] = FEATURE_CCID_ESC_COMMAND;
			got[1] = 4;
			memcpy(got + 2, escape, 4);
			*length = 6;
		}
		return IFD_SUCCESS;
	}
	if (!ESCAPE || code != ESCAPE || room < 6)
		return IFD_NOT_SUPPORTED;
	FILE *log = fopen(LOG, "a");
	if (!log)
		return IFD_COMMUNICATION_ERROR;
	for (DWORD n = 0; n < count; n++)
		fprintf(log, "%02X", sent[n]);
	fputc('\n', log);
	fclose(log);
	if (count > 0 && sent[0] == 0xE0) {
		memcpy(got, "\xE1\x00\x00\x00\x01\x00", 6);
		*length = 6;
	} else {
		memcpy(got, "\x90\x00", 2);
		*length = 2;
	}
	return IFD_SUCCESS;
}
