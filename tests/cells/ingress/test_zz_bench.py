import asyncio, time, psycopg, statistics
from dataclasses import replace
from cells.ingress.records import AdmissionRules
from tests.cells.ingress.conftest import *
from tests.cells.ingress.wire import HEALTH, raw_channel
from tests.cells.ingress.small_cell import *

async def rate(cell, t, seconds=3, width=32):
    async with raw_channel(cell, t) as ch:
        await ch.call(HEALTH, b"")
        n=0; lat=[]
        end=time.perf_counter()+seconds
        async def one():
            nonlocal n
            while time.perf_counter()<end:
                s=time.perf_counter()
                a=await ch.call(HEALTH, b"")
                assert a.code.name=="OK", a
                lat.append(time.perf_counter()-s)
                n+=1
        await asyncio.gather(*(one() for _ in range(width)))
        lat.sort()
        # sequential
        seq=[]
        for _ in range(300):
            s=time.perf_counter(); await ch.call(HEALTH, b""); seq.append(time.perf_counter()-s)
        seq.sort()
        return f"{n/seconds:.0f}/s p50 {lat[len(lat)//2]*1e3:.2f} seq p50 {seq[150]*1e3:.3f} p90 {seq[270]*1e3:.3f} ms"

async def test_bench(cell, orders, either):
    print(either.token[:5], "few", await rate(cell, either))
    if either.token: return
    async with await psycopg.AsyncConnection.connect(cell.database.conninfo) as c:
        await c.execute("""INSERT INTO namespaces (namespace, uid, role, login, server_name, admitted, client_ca, api_keys, revoked_serials, requests_per_second, certificate_chain, sealed_key)
          SELECT 'n'||i||'.acme1','u','n'||i,'n'||i,'n'||i||'.acme1.fleet.test', true, client_ca, false, '["abc123"]', 100, certificate_chain, sealed_key FROM namespaces, generate_series(1,10000) i WHERE namespace=%s""", [orders.namespace])
    await asyncio.sleep(8)
    t=new_tenant("last.acme1")
    s=time.perf_counter()
    await cell.enforce(cell.record(t, rules=AdmissionRules(client_ca=t.authority.pem, requests_per_second=1)))
    print("enforced one more after", time.perf_counter()-s)
    async with raw_channel(cell, t) as ch:
        while (await ch.call(HEALTH, b"")).code.name=="OK": pass
        print("limited after", time.perf_counter()-s)
    print("many, unlimited", await rate(cell, either))
    await cell.enforce(cell.record(orders, rules=AdmissionRules(client_ca=orders.authority.pem, requests_per_second=100000)))
    await asyncio.sleep(2)
    print("many, limited", await rate(cell, either))
    import httpx, psutil
    async with httpx.AsyncClient() as c:
        t=(await c.get(f"http://{cell.ingress.admin}/memory")).text
        print(t)
        t=(await c.get(f"http://{cell.ingress.admin}/stats?filter=extension_config.*(update_rej|reload|update_attempt)")).text
        print(t)
