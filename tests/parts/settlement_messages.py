"""Settlement flows and the treasury's cash book, written from their published forms."""

from typing import NamedTuple

from tests.parts.payment_messages import CREDITOR

FLOW_ID = "2026-11-25BANKIT00-S000000001"


class Row(NamedTuple):
    """A payment of a flow."""

    iuv: str
    iur: str = "receipt-1"
    euro: str = "20.00"
    outcome: str = "0"


class FlowMessage(NamedTuple):
    """What differs between the flows of tests. `total` None: as the rows sum, signs as written."""

    rows: tuple[Row, ...]
    flow: str = FLOW_ID
    revision: str = "2026-11-25T08:00:00"
    total: str | None = None
    number: int | None = None
    receiver: str = CREDITOR


def flow_message(given: FlowMessage) -> bytes:
    """Return a settlement flow."""
    rows = "".join(
        f"<datiSingoliPagamenti><identificativoUnivocoVersamento>{row.iuv}"
        "</identificativoUnivocoVersamento><identificativoUnivocoRiscossione>"
        f"{row.iur}</identificativoUnivocoRiscossione><indiceDatiSingoloPagamento>1"
        "</indiceDatiSingoloPagamento>"
        f"<singoloImportoPagato>{row.euro}</singoloImportoPagato><codiceEsitoSingoloPagamento>"
        f"{row.outcome}</codiceEsitoSingoloPagamento><dataEsitoSingoloPagamento>2026-11-23"
        "</dataEsitoSingoloPagamento></datiSingoliPagamenti>"
        for row in given.rows
    )
    cents = sum(int(row.euro.replace(".", "")) for row in given.rows)
    total = given.total or f"{cents // 100}.{cents % 100:02d}"
    count = len(given.rows) if given.number is None else given.number
    return (
        '<FlussoRiversamento xmlns="http://www.digitpa.gov.it/schemas/2011/Pagamenti/">'
        f"<versioneOggetto>1.0</versioneOggetto><identificativoFlusso>{given.flow}"
        f"</identificativoFlusso><dataOraFlusso>{given.revision}</dataOraFlusso>"
        "<identificativoUnivocoRegolamento>TRN1</identificativoUnivocoRegolamento>"
        "<dataRegolamento>2026-11-25</dataRegolamento><istitutoRicevente>"
        "<identificativoUnivocoRicevente><tipoIdentificativoUnivoco>G</tipoIdentificativoUnivoco>"
        f"<codiceIdentificativoUnivoco>{given.receiver}</codiceIdentificativoUnivoco>"
        "</identificativoUnivocoRicevente></istitutoRicevente>"
        f"<numeroTotalePagamenti>{count}</numeroTotalePagamenti>"
        f"<importoTotalePagamenti>{total}</importoTotalePagamenti>{rows}</FlussoRiversamento>"
    ).encode()


class Movement(NamedTuple):
    """A movement of the treasury's cash book."""

    euro: str = "20.00"
    reason: str = f"/PUR/LGPE-RIVER SAMENTO/URI/{FLOW_ID[:12]} {FLOW_ID[12:]}"
    number: str = "7"
    kind: str = "ENTRATA"
    document: str = "SOSPESO ENTRATA"
    operation: str = "ESEGUITO"


def cash_book(*movements: Movement) -> bytes:
    """Return a page of the treasury's cash book."""
    rows = "".join(
        f"<movimento_conto_evidenza><tipo_movimento>{row.kind}</tipo_movimento>"
        f"<tipo_documento>{row.document}</tipo_documento>"
        f"<tipo_operazione>{row.operation}</tipo_operazione>"
        f"<numero_documento>{row.number}</numero_documento><importo>{row.euro}</importo>"
        f"<data_movimento>2026-11-25</data_movimento><causale>{row.reason}</causale>"
        "</movimento_conto_evidenza>"
        for row in movements
    )
    return (
        "<flusso_giornale_di_cassa><pagina>1</pagina><pagine_totali>2</pagine_totali>"
        f"<informazioni_conto_evidenza>{rows}</informazioni_conto_evidenza>"
        "</flusso_giornale_di_cassa>"
    ).encode()
